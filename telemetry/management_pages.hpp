#pragma once
// The pages of the management endpoint that show what is kept of records: from a query to an answer.
//
// owns:    nothing
// threads: the telemetry thread
// A query that can't be understood is answered 400 with a sentence that says what would be.

#include <string>
#include <string_view>

#include "telemetry/http_server.hpp"
#include "telemetry/stores.hpp"

namespace portico::telemetry {

/// An answer with a JSON body.
HttpReply json_reply(int status, std::string body);
/// `{"error":{"code":..., "message":...}}`
HttpReply error_reply(int status, std::string_view code, std::string_view message);

/// `/api/v1/usage`
HttpReply usage_page(Stores& stores, const HttpRequest& request);
/// `/api/v1/failures`
HttpReply failures_page(Stores& stores, const HttpRequest& request);
/// `/api/v1/requests`
HttpReply requests_page(Stores& stores, const HttpRequest& request);
/// `/api/v1/events`
HttpReply events_page(Stores& stores, const HttpRequest& request);

}  // namespace portico::telemetry
