#pragma once
// A small, strictly bounded HTTP/1.1 server on a thread of its own, plain or under TLS, for the management
// endpoint.
//
// owns:    its listening socket (and the file of a unix socket), its io_context, its thread
// threads: constructor, destructor, address() and what is about TLS belong to the control thread; the handler
//          runs on the server's thread, one request at a time
// bytes:   a request's views are valid for the length of the handler's call
// bounds:  head 8 KiB, body 1 KiB (read and thrown away), 64 connections, 10 s to send a request (of the
//          first one: handshake included), 30 s to take an answer
// Not for the data plane: it buffers whole answers, and its streams are for few and small events.

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "conf/address.hpp"
#include "telemetry/server_tls.hpp"

namespace portico::telemetry {

struct HttpRequest {
  std::string_view method;
  std::string_view target;  ///< as received
  bool has_host = false;
  std::string_view host;  ///< value of Host
  std::string_view authorization;
  std::string_view accept;
};

/// The body of an answer that goes on: pulled by the server, until it ends or the client goes.
class ReplyStream {
 public:
  virtual ~ReplyStream() = default;
  /// Appends what there is to send, at most some 64 KiB; nothing if there is nothing yet. False: that was
  /// the last.
  virtual bool fill(std::string& out) = 0;
  /// What to send into a silence, so that dead connections show.
  [[nodiscard]] virtual std::string_view keep_alive() const noexcept = 0;
  /// Called once, before the first fill(). `wake` may be called, on the server's thread, when there is
  /// something to send after a fill() that had nothing; the server outlives the stream.
  virtual void on_ready(std::function<void()> wake) = 0;
};

struct HttpReply {
  int status = 200;
  std::string_view content_type;                                 ///< a literal
  std::string body;                                              ///< left out of the answer to HEAD
  std::vector<std::pair<std::string_view, std::string>> fields;  ///< further header fields
  std::unique_ptr<ReplyStream> stream{};  ///< goes on after `body`; ends with the connection
};

struct HttpBounds {
  std::size_t connections = 64;  ///< more are answered 503 and closed; under TLS they are just closed
  /// From the end of an answer, or the beginning of the connection, to the end of the next request.
  std::chrono::milliseconds request_time{10'000};
  std::chrono::milliseconds answer_time{
      30'000};                                ///< for the client to take an answer, or a piece of a stream
  std::chrono::milliseconds silence{15'000};  ///< after which a stream sends its keep_alive()
};

/// What else lives on the server's thread.
struct ThreadHooks {
  /// First on the thread, before any request. The executor is valid until `stop` returned.
  std::function<void(boost::asio::any_io_executor)> start{};
  /// Last on the thread, after the last request: whoever holds something of the executor lets go of it
  /// here.
  std::function<void()> stop{};
};

/// Every answer carries Date, Cache-Control: no-store and X-Content-Type-Options: nosniff.
class HttpServer {
 public:
  using Handler = std::function<HttpReply(const HttpRequest&)>;

  /// Binds and starts the thread `portico-telem`. Throws std::runtime_error naming the address and the
  /// cause. A handler that throws is answered for with 500. A hook that throws is told in the log. With
  /// `tls` every connection is under TLS; a plain request is answered 400 in plain text.
  HttpServer(const conf::ListenAddress& listen, Handler handler, HttpBounds bounds = {},
             ThreadHooks hooks = {}, std::shared_ptr<const ServerTls> tls = {});
  /// Ends the thread; open requests and streams are cut, the file of a unix socket is removed.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  /// As bound: a port of 0 is resolved.
  [[nodiscard]] conf::ListenAddress address() const;
  [[nodiscard]] bool speaks_tls() const;
  /// For connections that come from now on; those that are there keep what they began with.
  void replace_tls(std::shared_ptr<const ServerTls> tls);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace portico::telemetry
