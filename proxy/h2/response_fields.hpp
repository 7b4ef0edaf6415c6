#pragma once
// A response head of HTTP/1.1 as the field list of HTTP/2 (RFC 9113 section 8.3.2).
//
// What is removed from a response and what is added to it is decided once, where heads are written for
// HTTP/1.1 (proxy/http/forward.hpp, proxy/http/answer.hpp). This cuts such a text into fields: names become
// lower case in place, and what only HTTP/1.1 knows is left out.
//
// owns:    the list, in memory that is used again
// threads: one; pure
// bytes:   the list views the text, which must stay until it was submitted

#include <nghttp2/nghttp2.h>

#include <span>
#include <vector>

namespace portico::proxy::h2 {

class ResponseFields {
 public:
  /// `head`: a whole head as Portico writes it, status line and empty line included. `tunnel`: a 101, which
  /// is a 200 here (RFC 8441 section 5).
  std::span<const nghttp2_nv> cut(std::span<char> head, bool tunnel);
  /// Lines of a trailer section, up to an empty one or the end.
  std::span<const nghttp2_nv> cut_trailers(std::span<char> lines);

 private:
  void cut_lines(char* at, char* end, bool tunnel);

  std::vector<nghttp2_nv> fields_;
};

}  // namespace portico::proxy::h2
