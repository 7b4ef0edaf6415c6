#pragma once
// The WebSocket endpoints of the sample CPA: Responses turns, realtime sessions and a plain echo.
//
// owns:    nothing; the exchange's socket is taken over
// threads: the sample's thread

#include <boost/asio/awaitable.hpp>

#include "proxy/sample/context.hpp"
#include "proxy/sample/dialects.hpp"
#include "proxy/sample/exchange.hpp"

namespace portico::sample {

/// Turn after turn of `response.create` or `response.append`; a warm-up is answered without a model; a
/// request fault is told in a frame, every other one ends the connection without a word, as CPA does.
boost::asio::awaitable<void> serve_responses_turns(Exchange& exchange, Context& context, Dialect dialect);

/// A realtime session: `session.created` at once, then an answer for each `response.create`.
boost::asio::awaitable<void> serve_realtime(Exchange& exchange, Context& context);

/// Sends every message back as it came.
boost::asio::awaitable<void> serve_ws_echo(Exchange& exchange);

}  // namespace portico::sample
