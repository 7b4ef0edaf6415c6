#pragma once
// The scriptable bad origin: a backend that does exactly what a test says, byte by byte, each connection in a
// thread of its own.
//
// owns:    its listening socket, its threads and its connections, until it goes out of scope
// threads: a script runs on its connection's thread; everything else is called by the test's thread
// errors:  a script may throw: that ends its connection. ProtocolErrors are kept in errors().

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "test/support/message.hpp"
#include "test/support/wire.hpp"

namespace portico::test {

class Origin;

/// One connection that the proxy opened.
class Connection : public Wire {
 public:
  Connection(Origin& origin, std::size_t number, Fd fd, int stop_fd);

  /// Reads a head (no body) and counts a request.
  Message read_head(Deadline deadline = patience());
  /// Reads a head and its body and counts a request.
  Message read_request(Deadline deadline = patience());
  /// Keeps the socket open after the script has returned, until the origin ends; the test's thread may then
  /// use it through Origin::connection().
  void keep() { kept_ = true; }
  /// Does nothing until the peer ends the connection or the origin ends; says which.
  Outcome stall_until_closed();
  /// 0 for the first connection of the origin.
  [[nodiscard]] std::size_t number() const { return number_; }

 private:
  friend class Origin;
  Origin& origin_;
  std::size_t number_;
  bool kept_ = false;
};

class Origin {
 public:
  using Script = std::function<void(Connection&)>;

  /// Listens at once: on a free port of 127.0.0.1 unless told otherwise.
  explicit Origin(Script script);
  Origin(const Address& address, Script script);
  /// Speaks TLS: a script runs once its connection's handshake is complete. At the end of a script a
  /// close_notify goes out, unless it called break_off() or reset().
  Origin(const TlsServerOptions& tls, Script script);
  ~Origin();
  Origin(const Origin&) = delete;
  Origin& operator=(const Origin&) = delete;

  /// Reads requests with their bodies and answers each with `response`, for as long as the peer likes.
  static Script serve(std::string response);
  /// As serve, and the answer depends on the request.
  static Script serve(std::function<std::string(const Message&)> answer);

  /// As the settings file takes it.
  [[nodiscard]] std::string url() const { return url_; }

  /// Accepted so far.
  [[nodiscard]] std::size_t connections() const;
  /// Whose script runs, or which are kept.
  [[nodiscard]] std::size_t open_connections() const;
  /// Heads read so far, in the order in which they were complete.
  [[nodiscard]] std::size_t requests() const;
  [[nodiscard]] Message request(std::size_t index) const;
  /// Every byte of all connections, one connection after the other; at most 4 MiB of each.
  [[nodiscard]] std::string all_bytes() const;
  [[nodiscard]] std::vector<std::string> errors() const;
  /// Why handshakes failed, in OpenSSL's words.
  [[nodiscard]] std::vector<std::string> failed_handshakes() const;
  /// Waits until request number `index` has been read. Throws WireError when it does not come.
  Message wait_request(std::size_t index, Deadline deadline = patience());
  /// A kept connection, or one whose script waits for the test.
  Connection& connection(std::size_t index);

 private:
  friend class Connection;
  struct Entry {
    std::unique_ptr<Connection> connection;
    std::thread thread;
    std::string bytes;
    bool open = true;
  };

  Origin(const Address& address, std::optional<TlsServer> tls, Script script);

  void accept_loop();
  void run(Entry& entry);
  bool shake_hands(Connection& connection);
  void record(std::size_t connection, std::string_view bytes);
  void record(const Message& request);

  Script script_;
  std::optional<TlsServer> tls_;
  Fd stop_;
  Listener listener_;
  std::string url_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::unique_ptr<Entry>> entries_;
  std::vector<Message> requests_;
  std::vector<std::string> errors_;
  std::vector<std::string> failed_handshakes_;
  std::thread acceptor_;
};

/// A TCP port that neither accepts nor refuses: its backlog is full, so connecting hangs.
class BlackHole {
 public:
  BlackHole();
  [[nodiscard]] std::string url() const { return listener_.address().url(); }

 private:
  Listener listener_;
  std::vector<Fd> fillers_;
};

/// Lets a script wait for the test, or the test for a script: each step happens after the other side said so.
class Baton {
 public:
  /// Raises the count by one.
  void pass();
  /// Waits until pass() was called `count` times in all; false at the deadline.
  [[nodiscard]] bool wait(std::size_t count, Deadline deadline = patience());

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t count_ = 0;
};

}  // namespace portico::test
