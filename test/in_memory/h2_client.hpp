#pragma once
// A client that speaks HTTP/2, by nghttp2, which holds the worker to the rules of RFC 9113.
//
// owns:    the session; borrows its Link
// threads: one
// errors:  a frame that breaks the rules ends the process: see demand()

#include <nghttp2/nghttp2.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "test/in_memory/link.hpp"

namespace portico::in_memory {

class H2Client {
 public:
  using Fields = std::vector<std::pair<std::string, std::string>>;

  struct Answer {
    int interims = 0;
    int status = 0;  ///< of the final response; 0: none yet
    std::string body;
    bool closed = false;
    std::uint32_t code = 0;  ///< with which the stream was closed
  };

  explicit H2Client(Link& link);
  H2Client(const H2Client&) = delete;
  H2Client& operator=(const H2Client&) = delete;

  /// Begins a request; `body` is all of it. `open`: it goes on, and nothing says that it has ended.
  std::int32_t request(const Fields& fields, std::string_view body, bool open = false);
  /// Reads what was received, and sends what there is to say.
  void pump();
  [[nodiscard]] const Answer& answer(std::int32_t id) { return answers_[id]; }

 private:
  struct Delete {
    void operator()(nghttp2_session* session) const noexcept { nghttp2_session_del(session); }
  };
  struct Body {
    std::string bytes;
    std::size_t sent = 0;
    bool open = false;
  };
  static H2Client& self_of(void* self) noexcept { return *static_cast<H2Client*>(self); }
  static ssize_t read_body(nghttp2_session*, std::int32_t id, std::uint8_t* out, std::size_t room,
                           std::uint32_t* flags, nghttp2_data_source*, void* self);
  static int on_header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name,
                       std::size_t name_size, const std::uint8_t* value, std::size_t value_size, std::uint8_t,
                       void* self);

  Link& link_;
  std::unique_ptr<nghttp2_session, Delete> session_;
  std::map<std::int32_t, Answer> answers_;
  std::map<std::int32_t, Body> bodies_;
};

}  // namespace portico::in_memory
