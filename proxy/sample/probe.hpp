#pragma once
// Paths that no real backend has: what the backend saw, and bodies of any size either way. They answer below
// /v1/sample/ on the sample CPA:
//
//   ANY  /v1/sample/echo[/...]       the received request head as JSON
//   ANY  /v1/sample/sink             swallows the body; answers its length and SHA-256
//   GET  /v1/sample/bytes?size=N&chunked=0|1   N bytes; byte i is i modulo 251
//   GET  /v1/sample/stats            what was really served; DELETE forgets it
//
// owns:    nothing
// threads: the sample's thread

#include <cstddef>
#include <string>

#include <boost/asio/awaitable.hpp>

#include "proxy/sample/context.hpp"
#include "proxy/sample/exchange.hpp"

namespace portico::sample {

/// Method, target, fields in order with their raw case, and the size of the body that followed.
std::string echo_json(const Exchange& exchange, std::size_t body_bytes);

boost::asio::awaitable<void> answer_echo(Exchange& exchange);
boost::asio::awaitable<void> answer_sink(Exchange& exchange);
boost::asio::awaitable<void> answer_bytes(Exchange& exchange, Context& context);
boost::asio::awaitable<void> answer_stats(Exchange& exchange, Context& context);

}  // namespace portico::sample
