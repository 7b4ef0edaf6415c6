#pragma once
// One request and its response on a client's connection, as a sample backend sees them. Heads are written by
// hand, so that order and spelling are those of the real programs; request bodies are read by Beast.
//
// owns:    the raw head and the parser; borrows the connection, which outlives it
// threads: the sample's thread
// errors:  a lost client is an ordinary result (false, nullopt), never an exception

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>

namespace portico::sample {

/// TCP or unix, the same to everything above the listener.
using Socket = boost::asio::generic::stream_protocol::socket;

/// A client's connection: bytes read but not yet used live in `buffer`.
struct Connection {
  Socket socket;
  boost::beast::flat_buffer buffer;
  /// Header lines, each ended by CRLF, that stand in every response of this backend.
  std::string_view base_fields;
};

using Fields = std::vector<std::pair<std::string_view, std::string>>;

class Exchange {
 public:
  explicit Exchange(Connection& connection) : connection_(connection) {}

  /// Reads the next head. False when there is none: the client closed, or sent what is no HTTP (answered).
  boost::asio::awaitable<bool> read_head();

  [[nodiscard]] std::string_view method() const noexcept { return method_; }
  [[nodiscard]] std::string_view target() const noexcept { return target_; }
  /// The target up to `?`, as sent, and what stands behind it.
  [[nodiscard]] std::string_view path() const noexcept { return path_; }
  [[nodiscard]] std::string_view query() const noexcept { return query_; }
  [[nodiscard]] std::string_view raw_head() const noexcept { return raw_head_; }
  /// The first field of this name, any case; empty when there is none.
  [[nodiscard]] std::string_view field(std::string_view name) const;
  [[nodiscard]] bool is_upgrade() const;
  /// Fields as they came: raw case, order and duplicates.
  [[nodiscard]] std::vector<std::pair<std::string_view, std::string_view>> raw_fields() const;

  /// Reads body bytes; 0 at the end, nullopt when the client broke off. Sends `100 Continue` first if asked.
  boost::asio::awaitable<std::optional<std::size_t>> read_some(std::span<char> into);
  /// The whole body; nullopt when the client broke off or sent more than `limit` (then answered with 413).
  boost::asio::awaitable<std::optional<std::string>> read_body(std::size_t limit);

  /// What is left of a small body after the request was answered without it; empty when it is large, broken
  /// off, or held back until it is asked for.
  boost::asio::awaitable<std::string> read_leftover();

  /// Sends an interim response of this 1xx status.
  boost::asio::awaitable<bool> send_interim(int status);
  /// Sends a complete response with Content-Length. An empty content type leaves that field out.
  boost::asio::awaitable<bool> respond(int status, std::string_view content_type, std::string body,
                                       Fields fields = {});
  /// Begins a response with Content-Length, or chunked without.
  boost::asio::awaitable<bool> begin(int status, std::string_view content_type, const Fields& fields,
                                     std::optional<std::uint64_t> length = std::nullopt);
  /// Sends body bytes of a begun response: one chunk, or as they are.
  boost::asio::awaitable<bool> send(std::string_view bytes);
  boost::asio::awaitable<bool> finish();
  /// Waits; false when there is no client any more. Only inside unless_client_leaves does its leaving end the
  /// wait.
  boost::asio::awaitable<bool> pause(std::chrono::milliseconds time);

  /// Runs `work` and stops it as soon as the client closes or resets the connection; client_lost() says
  /// whether it did. A client that only ends its own direction counts as gone, as it does for CPA.
  boost::asio::awaitable<void> unless_client_leaves(boost::asio::awaitable<void> work);
  /// How long ago the peer's TCP was last heard, in ms; nullopt on unix sockets.
  [[nodiscard]] std::optional<std::uint32_t> last_heard_ms() const;

  /// True once a read or a write has failed: there is nobody to answer.
  [[nodiscard]] bool client_lost() const noexcept { return broken_; }

  /// Closes at once without ending the body; as a reset when `reset`.
  void cut(bool reset);

  /// Reads what is left of a small body. True when the connection can carry another exchange.
  boost::asio::awaitable<bool> finish_request();
  /// For an upgrade: hands the socket over; the exchange is over.
  Socket take_socket() { return std::move(connection_.socket); }
  [[nodiscard]] Socket::executor_type executor() { return connection_.socket.get_executor(); }
  [[nodiscard]] bool has_early_bytes() const noexcept { return connection_.buffer.size() != 0; }
  [[nodiscard]] std::string_view base_fields() const noexcept { return connection_.base_fields; }

 private:
  using Parser = boost::beast::http::request_parser<boost::beast::http::buffer_body>;

  boost::asio::awaitable<bool> write(std::string_view bytes);
  boost::asio::awaitable<void> client_leaves();
  [[nodiscard]] std::string head_text(int status, std::string_view content_type, const Fields& fields,
                                      std::optional<std::uint64_t> length) const;

  Connection& connection_;
  std::string raw_head_;
  std::unique_ptr<Parser> parser_;  // Beast's parsers cannot be assigned, and each is for one message
  std::string_view method_;
  std::string_view target_;
  std::string_view path_;
  std::string_view query_;
  bool continue_wanted_ = false;
  bool chunked_ = false;
  bool persistent_ = true;
  bool broken_ = false;
};

/// As Exchange::last_heard_ms.
std::optional<std::uint32_t> last_heard_ms(Socket& socket);

/// Name of a status in a status line, as Go's server writes it.
std::string reason_of(int status);

}  // namespace portico::sample
