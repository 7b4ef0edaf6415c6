#pragma once
// Cutting one line at a time off the front of a head or a trailer section.
//
// owns:    nothing
// threads: any; pure functions
// bytes:   results are views into the given range

#include "proxy/h1/head.hpp"

namespace portico::proxy::h1 {

/// Moves `at` past the CRLF that ends the text at [at, end) and says where the text ended, in `stop`.
/// Any control byte other than HTAB before it is an error; `at` is then left where it was.
HeadError cut_text(const char*& at, const char* end, const char*& stop) noexcept;

/// Cuts the field line at the front of [at, end) (RFC 9112 section 5) and moves `at` past its CRLF.
/// `field.id` is set. At an error `at` and `field` mean nothing.
HeadError cut_field(const char*& at, const char* end, Field& field) noexcept;

/// Cuts all field lines of a head from [at, end), and the empty line that must stand at its very end.
/// At most `limit` fields, and no more than `fields` has room for.
HeadError cut_fields(const char* at, const char* end, std::size_t limit, HeadFields& fields) noexcept;

}  // namespace portico::proxy::h1
