#pragma once
// A client that does what plans say, over HTTP/1.1 or HTTP/2, in plain text or under TLS, and tells of each
// exchange what became of it. It keeps its connection for as long as it can.
//
// owns:    its connection
// threads: one
// errors:  none are thrown: what went wrong is in the results

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "test/support/chaos_plan.hpp"
#include "test/support/client.hpp"
#include "test/support/h2_client.hpp"

namespace portico::test {

/// What an exchange came to at the client.
enum class Ending : std::uint8_t {
  nothing,  ///< no response, nor will there be one
  whole,    ///< the backend's response, ended as a complete one
  cut,      ///< it broke off, and that can be seen
  own,      ///< an answer of the proxy's own, complete
  left,     ///< the client left as planned
};
const char* name_of(Ending ending);

struct Result {
  ExchangeNumber number = 0;
  Ending ending = Ending::nothing;
  int status = 0;          ///< of the final response; 0 without one
  std::size_t size = 0;    ///< bytes of the backend's body that came
  bool answered = false;   ///< something came of the proxy or the backend
  bool shortened = false;  ///< it ended as if it was complete before all of the body had come
  std::string way = {};    ///< by which it went, for the reader of a complaint
  /// What no client may be given, unless its own connection was tampered with.
  std::vector<std::string> problems = {};
  /// What it may not be given in any case: bytes of exchanges that are none of its connection's.
  std::vector<std::string> leaks = {};
};

class ChaosClient {
 public:
  struct Options {
    Address address;
    std::string source = {};  ///< local address to connect from
    std::optional<TlsClientOptions> tls = {};
    bool http2 = false;
    PlanOptions plans = {};
    /// Has the backend read this exchange's head? For PlanOptions::leave_when_heard.
    std::function<bool(const Plan&)> heard = {};
  };

  explicit ChaosClient(Options options) : options_(std::move(options)) {}

  /// Does these exchanges: one after the other, or in HTTP/2 all at once.
  std::vector<Result> call(std::span<const Plan> plans);
  /// Ends the connection in order.
  void close();

 private:
  /// A response as it is judged, whatever it came by.
  struct Answer {
    int status = 0;
    std::optional<std::string> exchange = {};  ///< what the exchange header says
    std::optional<std::string> trailer = {};
    bool complete = false;
  };

  // chaos_client.cpp
  static void note_origin(const std::optional<std::string>& exchange, const Plan& plan, Result& result);
  void note_bytes(const MarkReader& reader, Result& result) const;
  void judge(const Plan& plan, const Answer& answer, const MarkReader& reader, Result& result) const;
  bool wait_heard(const Plan& plan) const;
  Result call_http1(const Plan& plan);
  void exchange_http1(const Plan& plan, Result& result);
  bool send_http1(const Plan& plan, Result& result, std::optional<Message>& early);
  void tunnel_http1(const Plan& plan, Result& result);
  void leave_http1(const Plan& plan, Result& result);
  Message read_head(Result& result);

  // chaos_client_h2.cpp
  struct Flow;
  std::vector<Result> call_http2(std::span<const Plan> plans);
  void connect_http2(const Plan& first);
  [[nodiscard]] std::uint64_t bytes_moved(std::span<const Flow> flows) const;
  void open_flow(Flow& flow);
  void tunnel_http2(Flow& flow);
  bool leave_where_planned(std::span<Flow> flows);
  void leave_http2(Flow& flow, std::span<Flow> flows);
  void settle(Flow& flow, bool left);

  Options options_;
  std::optional<Client> http1_;
  std::unique_ptr<H2Client> http2_;
  std::size_t calls_ = 0;               // on this connection
  std::set<ExchangeNumber> exchanges_;  // of this connection
};

}  // namespace portico::test
