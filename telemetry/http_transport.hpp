#pragma once
// The connection of one client of the management endpoint, plain or under TLS: a closed choice of two behind
// the reads and writes that Asio and Beast ask for.
//
// owns:    the socket, its time limits, and the TLS session once there is one
// threads: the server's
// bytes:   borrowed until the read or write completes
// errors:  error codes, to whoever completes
// One read and one write may be in progress at once. Both refer to this object, and under TLS they still do
// when they complete after a cancel: whoever starts one that nobody awaits must hold the object.

#include <memory>
#include <optional>
#include <utility>

#include <boost/asio/async_result.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/basic_stream.hpp>

#include "telemetry/server_tls.hpp"

namespace portico::telemetry {

class Transport {
 public:
  using Plain = boost::beast::basic_stream<boost::asio::generic::stream_protocol>;
  using Tls = boost::asio::ssl::stream<Plain&>;
  using executor_type = Plain::executor_type;

  explicit Transport(Plain::socket_type socket) : plain_(std::move(socket)) {}
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  [[nodiscard]] executor_type get_executor() noexcept { return plain_.get_executor(); }
  /// What lies below TLS: the socket and the time limits, which hold for TLS too.
  [[nodiscard]] Plain& plain() noexcept { return plain_; }
  /// Null while the connection is plain.
  [[nodiscard]] Tls* tls() noexcept { return tls_ ? &*tls_ : nullptr; }
  /// From here on all bytes go through `session`, whose handshake is still to come.
  Tls& begin_tls(SslPtr session) { return tls_.emplace(plain_, session.release()); }

  template <class Buffers, class Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    return boost::asio::async_initiate<Token, Signature>(
        [this](auto handler, const Buffers& into) {
          if (tls_) {
            tls_->async_read_some(into, std::move(handler));
          } else {
            plain_.async_read_some(into, std::move(handler));
          }
        },
        token, buffers);
  }

  template <class Buffers, class Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    return boost::asio::async_initiate<Token, Signature>(
        [this](auto handler, const Buffers& from) {
          if (tls_) {
            tls_->async_write_some(from, std::move(handler));
          } else {
            plain_.async_write_some(from, std::move(handler));
          }
        },
        token, buffers);
  }

 private:
  using Signature = void(boost::system::error_code, std::size_t);

  Plain plain_;
  std::optional<Tls> tls_;
};

}  // namespace portico::telemetry
