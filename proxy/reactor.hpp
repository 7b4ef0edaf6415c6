#pragma once
// Readiness of descriptors from Asio's epoll reactor, at the price of one epoll_wait shared by all.
//
// This is the only place that uses boost::asio::detail, and Boost 1.81 (Debian 12) is the version it is
// written for. The public ways to wait cost a system call more for each read: async_read_some tries a second
// receive after each successful one, async_wait calls epoll_ctl each time. An operation of our own that says
// "done and exhausted" costs neither, needs no allocation and lets a read borrow its buffer after the socket
// became readable.
//
// owns:    Readiness is a member of the object it wakes; that object must outlive an armed operation (cancel
// it and
//          wait for its completion)
// threads: the worker whose io_context it is; built for a context with BOOST_ASIO_CONCURRENCY_HINT_UNSAFE

#include <boost/asio/detail/epoll_reactor.hpp>
#include <boost/asio/detail/reactor_op.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/intrusive/list.hpp>
#include <boost/version.hpp>

#include "proxy/buffer_pool.hpp"
#include "proxy/timer_wheel.hpp"

static_assert(BOOST_VERSION / 100 == 1081,
              "reactor.cpp is written for the reactor of Boost 1.81; check it and move this");

namespace portico::proxy {

/// What lets an Input stand in the reactor's list of inputs to look at again.
struct ProbeLink
    : boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {};

class Input;

/// What a worker's I/O objects share.
class Reactor {
 public:
  using Descriptor = boost::asio::detail::epoll_reactor::per_descriptor_data;

  explicit Reactor(boost::asio::io_context& io);
  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;

  /// Registers `fd` edge-triggered. Returns errno, or 0.
  int add(int fd, Descriptor& descriptor) noexcept;
  /// Takes `fd` out and cancels what waits on it; the completions come later. Before close(2).
  void remove(int fd, Descriptor& descriptor) noexcept;

  /// Looks at `input` again at one of the next ticks, unless it was read in between. A short read is taken
  /// for the end of what there is, which saves a system call for each read; but an end of stream that arrived
  /// together with those bytes raises no second event, and this look finds it.
  void probe_later(Input& input) noexcept;

  boost::asio::io_context& context;
  BufferPool buffers;
  TimerWheel wheel;

 private:
  friend class Readiness;
  using ProbeList = boost::intrusive::list<ProbeLink, boost::intrusive::constant_time_size<false>>;
  void probe() noexcept;

  boost::asio::detail::epoll_reactor& impl_;
  Timer probe_timer_;
  ProbeList fresh_;
  ProbeList due_;
};

enum class Direction : std::uint8_t { read, write };

/// One outstanding wait for a descriptor to become readable or writable.
class Readiness : public boost::asio::detail::reactor_op {
 public:
  /// `on_done(owner, cancelled)` is called on the worker, once for each arm().
  using Done = void (*)(void* owner, bool cancelled);
  Readiness(Direction direction, Done on_done, void* owner) noexcept;
  Readiness(const Readiness&) = delete;
  Readiness& operator=(const Readiness&) = delete;

  [[nodiscard]] bool armed() const noexcept { return armed_; }
  /// Waits for the next edge. `drained`: the caller has just seen EAGAIN, so readiness that the reactor
  /// remembers from before is stale. Not while armed.
  void arm(Reactor& reactor, int fd, Reactor::Descriptor& descriptor, bool drained) noexcept;
  /// Completes as cancelled, soon.
  void cancel(Reactor& reactor, int fd, Reactor::Descriptor& descriptor) noexcept;

 private:
  static status on_perform(reactor_op* base);
  static void on_complete(void* owner, boost::asio::detail::operation* base,
                          const boost::system::error_code& error, std::size_t bytes);

  Done done_;
  void* owner_;
  Direction direction_;
  bool armed_ = false;
  bool skip_ = false;
};

}  // namespace portico::proxy
