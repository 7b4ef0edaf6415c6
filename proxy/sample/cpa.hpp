#pragma once
// The sample CPA: its paths and what stands behind each of them.
//
// owns:    nothing
// threads: the sample's thread

#include <string_view>

#include <boost/asio/awaitable.hpp>

#include "proxy/sample/context.hpp"
#include "proxy/sample/exchange.hpp"

namespace portico::sample {

/// Header lines of every response: the label first, then CPA's own.
std::string_view cpa_fields() noexcept;

/// Answers one request.
boost::asio::awaitable<void> serve_cpa(Exchange& exchange, Context& context);

}  // namespace portico::sample
