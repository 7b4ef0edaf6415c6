#pragma once
// One client connection over HTTP/1.1, from accept to close.
//
//   serve        limits have admitted it; owns the Session for its whole life
//    run_http1   one exchange after another, in order, until either side wants to close
//     read_head  waits for a complete request head
//     Exchange   everything that follows from that head
//   linger       ends without losing the last answer
//
// owns:    the client's Stream; the coroutine frame of serve() owns the Session
// threads: its worker
// The input's bytes from the request head on stay in place until the exchange consumes them.

#include <boost/intrusive/list_hook.hpp>

#include "proxy/connection_limits.hpp"
#include "proxy/http/answer.hpp"
#include "proxy/http/client_address.hpp"
#include "proxy/stream.hpp"
#include "proxy/task.hpp"
#include "proxy/worker.hpp"

namespace portico::proxy {

class Exchange;

class Session : public SessionLink {
 public:
  Session(Worker& worker, telemetry::ListenerLabel listener, const http::Peer& peer,
          ConnectionLimits::Place place) noexcept;
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session();

  /// Closes at once if it only waits for a next request; else lets the exchange end and then closes.
  void on_drain() noexcept;
  /// Ends now.
  void on_cut() noexcept;

  /// How the connection ends after its last exchange.
  enum class End : std::uint8_t {
    close,   ///< nothing is unread
    linger,  ///< the client may still be sending: let it read the answer first
    reset,   ///< what it got is not the whole: make that plain
  };

  Worker& worker;
  Stream stream;
  const telemetry::ListenerLabel listener;
  const http::Peer peer;
  Exchange* exchange = nullptr;  ///< the one in progress
  End end = End::close;

 private:
  friend Detached serve(Worker&, telemetry::ListenerLabel, int, http::Peer, ConnectionLimits::Place);
  enum class Head : std::uint8_t { complete, closed, refused };

  Task<void> run_http1();
  Task<Head> read_head();
  Task<void> finish();
  Task<void> linger();
  Task<void> reset_after_flush();

  ConnectionLimits::Place place_;
  std::size_t head_size_ = 0;
  h1::HeadError head_error_ = h1::HeadError::none;
  bool head_timed_out_ = false;
  bool waiting_ = false;  // for the first byte of a request
};

/// Runs the connection on `fd` to its end. Takes over `fd` and `place`.
Detached serve(Worker& worker, telemetry::ListenerLabel listener, int fd, http::Peer peer,
               ConnectionLimits::Place place);

/// Answers a connection that is over a limit, without reading a request, and closes it. Takes over `fd`. It
/// is accounted as a request that was refused.
Detached turn_away(Worker& worker, telemetry::ListenerLabel listener, int fd, http::Peer peer,
                   http::AnswerCode code);

}  // namespace portico::proxy
