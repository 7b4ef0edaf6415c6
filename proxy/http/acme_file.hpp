#pragma once
// Challenges of ACME (RFC 8555 section 8.3), served out of the folder into which a client such as certbot
// writes them.
//
// owns:    nothing; returns strings
// threads: any
// errors:  whatever is no challenge that can be read is answered 404
// It reads a file while the caller waits: a worker may, for these are a few hundred bytes, asked for a few
// times a year, that were written a moment ago. Not for other files.

#include <string>
#include <string_view>

#include "proxy/http/answer.hpp"

namespace portico::proxy::http {

/// The largest challenge in bytes; a key authorization has about 90.
inline constexpr std::size_t max_challenge = 16'384;

/// True when the target's path is below `/.well-known/acme-challenge/`.
bool asks_for_challenge(std::string_view target);

/// 200 and the file of `webroot` (tls.acme_webroot) that has the target's path, as text/plain; HEAD gets the
/// head when `facts` says so. 404 for another method, a token that is not 1 to 255 characters of base64url,
/// and a file that is a link, no regular file, too large or not readable.
std::string answer_challenge(const std::string& webroot, std::string_view method, std::string_view target,
                             const AnswerFacts& facts);

}  // namespace portico::proxy::http
