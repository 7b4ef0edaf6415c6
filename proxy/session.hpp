#pragma once
// One client connection, from accept to close.
//
//   serve        limits have admitted it; owns the Session for its whole life
//    open        what comes before HTTP: the PROXY header, TLS, the choice of a version
//    run_http1   one exchange after another, in order, until either side wants to close
//     read_head  waits for a complete request head
//     Exchange   everything that follows from that head
//    run_http2   h2::Connection has its streams
//    redirect    a listener that only sends clients to https://
//   finish       ends without losing the last answer
//
// owns:    the client's Stream; the coroutine frame of serve() owns the Session
// threads: its worker
// The input's bytes from the request head on stay in place until the exchange consumes them.

#include <boost/intrusive/list_hook.hpp>

#include "proxy/client.hpp"
#include "proxy/connection_limits.hpp"
#include "proxy/http/answer.hpp"
#include "proxy/task.hpp"
#include "proxy/worker.hpp"

namespace portico::proxy {

namespace h2 {
class Connection;
}  // namespace h2

class Session : public SessionLink, public Client {
 public:
  Session(Worker& worker, telemetry::ListenerLabel listener, ListenerKind kind, const http::Peer& peer,
          ConnectionLimits::Place place) noexcept;
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session();

  /// Closes at once if it only waits for a next request; else lets the exchange end and then closes.
  void on_drain() noexcept;
  /// Ends now.
  void on_cut() noexcept;

 private:
  friend Detached serve(Worker&, telemetry::ListenerLabel, ListenerKind, int, http::Peer,
                        ConnectionLimits::Place);
  enum class Head : std::uint8_t { complete, closed, refused, http2 };
  enum class Opened : std::uint8_t { http1, http2, closed };

  // session_open.cpp
  Task<Opened> open();
  Task<Io> read_more(Deadline deadline);
  Task<bool> read_proxy_header(Deadline deadline);
  ConnectionLimits::Verdict take_place() noexcept;
  void complain_of_proxy_header();
  Task<Opened> open_tls(Deadline deadline);
  Task<void> answer_plain_http();

  Task<void> run_http1();
  Task<void> run_http2();
  Task<Head> read_head();
  Task<void> finish();
  Task<void> linger();
  Task<void> reset_after_flush();

  ConnectionLimits::Place place_;
  h2::Connection* http2_ = nullptr;
  std::size_t head_size_ = 0;
  h1::HeadError head_error_ = h1::HeadError::none;
  bool head_timed_out_ = false;
  bool first_ = true;     // no request has been read yet
  bool waiting_ = false;  // for the first byte of a request
};

/// Runs the connection on `fd` to its end. Takes over `fd` and `place`.
Detached serve(Worker& worker, telemetry::ListenerLabel listener, ListenerKind kind, int fd, http::Peer peer,
               ConnectionLimits::Place place);

/// Answers a connection that is over a limit, without reading a request, and closes it. Takes over `fd`. It
/// is accounted as a request that was refused.
Detached turn_away(Worker& worker, telemetry::ListenerLabel listener, int fd, http::Peer peer,
                   http::AnswerCode code);

}  // namespace portico::proxy
