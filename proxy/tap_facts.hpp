#pragma once
// From a head as the proxy reads it to what the tap is told of it.
//
// owns:    nothing; the facts view the head's bytes
// threads: any; pure

#include "proxy/h1/head.hpp"
#include "telemetry/tap/facts.hpp"

namespace portico::proxy {

/// What stands in the head itself; path, dialect, client, labels and time are the caller's to add. A head
/// that could not be parsed gives what was read of it.
telemetry::RequestFacts request_facts(const h1::RequestHead& head) noexcept;

/// Precondition: a final response or a 101.
telemetry::ResponseFacts response_facts(const h1::ResponseHead& head) noexcept;

}  // namespace portico::proxy
