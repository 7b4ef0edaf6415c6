#pragma once
// From http to https: where a request of the plain port is sent.
//
// owns:    nothing; returns strings
// threads: any; pure functions
// This is off the hot path: it may allocate.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "proxy/h1/head.hpp"
#include "proxy/http/answer.hpp"

namespace portico::proxy::http {

/// A target in origin-form (RFC 9112 section 3.2.1): as received if it is, the path and query of one in
/// absolute-form, and `/` for anything else, a target with a control byte or a `#` included.
std::string origin_form(std::string_view target);

/// `https://HOST[:PORT]TARGET`: the host that the request names without its port, `port` unless it is 443,
/// and the target in origin-form. Nothing when `host` is no valid authority.
std::optional<std::string> https_location(std::string_view host, std::string_view target, std::uint16_t port);

/// 308, so that method and body stay; 400 where the request names no host, as HTTP/1.0 allows. `port` is
/// where clients reach TLS. That the client chooses the host harms nobody else: it is the one who is sent
/// there.
std::string answer_redirect(const h1::RequestHead& head, std::uint16_t port, const AnswerFacts& facts);

}  // namespace portico::proxy::http
