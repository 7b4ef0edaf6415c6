#pragma once
// The sample's own truth: what it really served, so that other people's accounts can be checked against it.
//
// owns:    its counters; bounded: series beyond max_series are counted under "other"
// threads: the sample's thread
// A request is counted once, when it ends; so is a turn of a WebSocket, which is a request of its own. Tokens
// count when a usage that names them was put on the wire, the last one standing for those before it: an
// answer that broke off counts what had been announced by then. A warm-up runs no model and is no request.

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>

#include <boost/json/value.hpp>

namespace portico::sample {

/// Tokens by kind; no token stands in two of them.
struct Tokens {
  std::uint64_t input = 0;
  std::uint64_t cache_read = 0;
  std::uint64_t cache_creation = 0;
  std::uint64_t output = 0;
  std::uint64_t reasoning = 0;
  [[nodiscard]] std::uint64_t total() const noexcept {
    return input + cache_read + cache_creation + output + reasoning;
  }
};

/// Who is counted: the called API by its name, the model as asked for, the key as presented (it never leaves
/// but as mask and digest).
struct Caller {
  std::string dialect;
  std::string model;
  std::string key;
};

enum class Outcome : std::uint8_t {
  success,
  failure,      ///< an error status, an error event, or an end before the end
  client_gone,  ///< the client left first
};

/// What became of a request.
struct Served {
  Outcome outcome = Outcome::success;
  std::optional<Tokens> usage = {};  ///< the last one that was announced
  /// What a failure is in truth, in the words of failure summaries; a client that left is always
  /// `client_cancelled`.
  std::string_view category = {};
  bool turn = false;  ///< of a WebSocket
};

class Stats {
 public:
  static constexpr std::size_t max_series = 4096;
  static constexpr std::size_t max_aborts = 1000;

  /// One stream that is open as long as this lives.
  class OpenStream {
   public:
    explicit OpenStream(Stats& stats) noexcept : stats_(stats) { ++stats_.open_streams_; }
    OpenStream(const OpenStream&) = delete;
    OpenStream& operator=(const OpenStream&) = delete;
    ~OpenStream() { --stats_.open_streams_; }

   private:
    Stats& stats_;
  };

  /// One connection that is open as long as this lives.
  class OpenConnection {
   public:
    explicit OpenConnection(Stats& stats) noexcept : stats_(stats) {
      ++stats_.open_connections_;
      ++stats_.connections_;
    }
    OpenConnection(const OpenConnection&) = delete;
    OpenConnection& operator=(const OpenConnection&) = delete;
    ~OpenConnection() { --stats_.open_connections_; }

   private:
    Stats& stats_;
  };

  void count(const Caller& caller, const Served& served);
  void count_warmup(const Caller& caller);
  /// Notes that a client left before its answer was complete. `noticed_after_ms`: the time since anything was
  /// last heard from the peer's TCP, which includes the segment that ended the connection; for a reset it is
  /// only an upper bound. nullopt where the kernel cannot say (unix sockets).
  void abort(const Caller& caller, std::optional<std::uint32_t> noticed_after_ms);
  /// Forgets everything but what is open.
  void reset();

  [[nodiscard]] boost::json::value json() const;

 private:
  struct Series {
    std::uint64_t requests = 0;
    std::uint64_t failures = 0;
    std::uint64_t client_gone = 0;
    std::uint64_t with_usage = 0;
    std::uint64_t turns = 0;
    std::uint64_t warmups = 0;
    std::map<std::string, std::uint64_t, std::less<>> categories;
    Tokens tokens;
  };
  struct Abort {
    Caller caller;
    std::int64_t noticed_unix_ms = 0;
    std::optional<std::uint32_t> noticed_after_ms;
  };

  Series& series_of(const Caller& caller);

  std::map<std::tuple<std::string, std::string, std::string>, Series> series_;
  std::deque<Abort> aborts_;
  std::uint64_t aborts_seen_ = 0;
  std::uint64_t connections_ = 0;
  std::uint64_t open_connections_ = 0;
  std::uint64_t open_streams_ = 0;
};

}  // namespace portico::sample
