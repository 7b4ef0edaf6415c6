#pragma once
// The sample CPAMP: a panel page, health, and the refusals of a server that was never set up.
//
// owns:    nothing
// threads: the sample's thread

#include <string_view>

#include <boost/asio/awaitable.hpp>

#include "proxy/sample/context.hpp"
#include "proxy/sample/exchange.hpp"

namespace portico::sample {

/// Header lines of every response: the label first, then CPAMP's own.
std::string_view cpamp_fields() noexcept;

/// Answers one request. /usage-service/sample/echo answers with the received head, as the CPA's echo does.
boost::asio::awaitable<void> serve_cpamp(Exchange& exchange, Context& context);

}  // namespace portico::sample
