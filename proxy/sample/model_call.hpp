#pragma once
// A call to a model over HTTP: reads the request, finds out what its model name asks for, and answers.
//
// owns:    nothing
// threads: the sample's thread

#include <cstdint>
#include <string>
#include <string_view>

#include <boost/asio/awaitable.hpp>
#include <boost/json/value.hpp>

#include "proxy/sample/context.hpp"
#include "proxy/sample/dialects.hpp"
#include "proxy/sample/exchange.hpp"

namespace portico::sample {

enum class Operation : std::uint8_t {
  generate,
  stream,  ///< generate, and the path already says that it streams
  compact,
  count_tokens,
};

struct ModelCall {
  Dialect dialect = Dialect::openai_chat;
  Operation operation = Operation::generate;
  bool decodes_zstd = false;  ///< CPA undoes a content coding on this path
  std::string model;          ///< where the path names it; else the body does
};

/// Answers the exchange and counts it.
boost::asio::awaitable<void> call_model(Exchange& exchange, Context& context, ModelCall call);

/// The client's key as CPA finds it: Authorization, X-Goog-Api-Key, X-Api-Key, `key`, `auth_token`. The first
/// that is right wins; `refused` when there are keys and every one begins with `wrong-key`: no other is wrong
/// here.
struct PresentedKey {
  std::string key;
  bool refused = false;
};
PresentedKey presented_key(const Exchange& exchange);

/// A request or frame body as JSON; deep nesting is accepted as CPA does. null when it is none.
boost::json::value read_json(std::string_view text);
/// A member of an object as text; empty when it is not there or no string.
std::string text_member(const boost::json::value& object, std::string_view name);
/// The usage of a made-up answer to a request of this size: every kind that the dialect knows is in it.
Tokens tokens_for(Dialect dialect, std::size_t request_bytes, std::uint64_t events);
/// X-Cpa-Trace-Id, which names the credential that served a call. `fault`: what is wrong with the credential;
/// each such one is another credential than that of the calls that succeed.
std::string trace_id(Dialect dialect, Context& context, std::string_view fault = {});
/// The model that a body names at its top level, compressed by zstd or not; empty where it names none.
std::string model_in(std::string_view body);

}  // namespace portico::sample
