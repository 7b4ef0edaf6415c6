#pragma once
// Cutting one line at a time off the front of a head or a trailer section.
//
// owns:    nothing
// threads: any; pure functions
// bytes:   results are views into the given range

#include "proxy/h1/head.hpp"

namespace portico::proxy::h1 {

/// Cuts the field line at the front of [at, end) (RFC 9112 section 5), its id included, and moves `at` past
/// its CRLF. At an error `at` is left where it was and `field` means nothing.
/// Precondition: the bytes end with LF, so that every search stops inside them.
HeadError cut_field(const char*& at, const char* end, Field& field) noexcept;

/// Cuts all field lines of a head from [at, end), and the empty line that must stand at its very end.
/// At most `limit` fields, and no more than `fields` has room for.
/// Precondition: the head ends with two CRLF, and `at` is behind one of them.
HeadError cut_fields(const char* at, const char* end, std::size_t limit, HeadFields& fields) noexcept;

/// True when `head` ends as every complete head does. Nothing else says that the searches above stay inside.
inline bool ends_like_a_head(std::string_view head) noexcept { return head.ends_with("\r\n\r\n"); }

}  // namespace portico::proxy::h1
