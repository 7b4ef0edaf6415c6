#pragma once
// Does a request show a key at all? Who shows none guesses none, whatever a backend answers.
//
// owns:    nothing
// threads: any; pure functions

#include "proxy/h1/head.hpp"

namespace portico::proxy::http {

/// True when the request has something in one of the places where CPA and CPAMP look for a key:
/// Authorization, X-Api-Key, X-Goog-Api-Key, X-Management-Key, Sec-WebSocket-Protocol, or `key` or
/// `auth_token` in the query.
bool presents_key(const h1::RequestHead& head) noexcept;

}  // namespace portico::proxy::http
