#pragma once
// What a Stream has in place of a socket: one stream of a connection that carries many.
//
// The Stream asks its port for bytes and offers it bytes, and the port answers at once. What has to be waited
// for comes back later by Input::port_event() and Output::port_event(), never from within one of these calls.
//
// owns:    nothing here; the port outlives its Stream's use of it
// threads: one worker
// bytes:   those that are offered must stay until the port has taken them or let go of them

#include <sys/uio.h>

#include <cstdint>
#include <span>

#include "proxy/buffer_pool.hpp"

namespace portico::proxy {

class Port {
 public:
  Port() = default;
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;
  virtual ~Port() = default;

  enum class Got : std::uint8_t {
    bytes,
    nothing,
    end,     ///< the peer ended its direction
    failed,  ///< the peer is gone
  };
  /// Moves the next received bytes into `block`, from `begin` to `end`. Only while the input is empty.
  virtual Got receive(Block& block, std::uint32_t& begin, std::uint32_t& end) noexcept = 0;
  /// Is the peer gone, whatever may still wait to be received?
  [[nodiscard]] virtual bool gone() const noexcept = 0;
  /// Has the input's waiter or watcher woken, soon, as after a cancel.
  virtual void wake_input() noexcept = 0;

  enum class Put : std::uint8_t { all, some, nothing, failed };
  /// Offers `pieces`, or asks how far those that were offered have gone: `some` if further than at the last
  /// call. `sent` grows by what has gone.
  virtual Put send(std::span<iovec> pieces, std::uint64_t& sent) noexcept = 0;
  /// Takes back what was offered; the output is woken, soon, once none of it is in use.
  virtual void withdraw() noexcept = 0;

  /// Nothing more will be sent.
  virtual void shutdown_write() noexcept = 0;
  /// The Stream is closed. `reset`: what the peer got is not the whole.
  virtual void close(bool reset) noexcept = 0;
};

}  // namespace portico::proxy
