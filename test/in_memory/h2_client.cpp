#include "test/in_memory/h2_client.hpp"

#include <algorithm>
#include <cstring>

#include "test/in_memory/portico.hpp"

namespace portico::in_memory {

H2Client::H2Client(Link& link) : link_(link) {
  nghttp2_session_callbacks* made = nullptr;
  demand(nghttp2_session_callbacks_new(&made) == 0, "there is memory");
  nghttp2_session_callbacks_set_on_header_callback(made, &H2Client::on_header);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
      made, [](nghttp2_session*, std::uint8_t, std::int32_t id, const std::uint8_t* data, std::size_t size,
               void* self) {
        self_of(self).answers_[id].body.append(reinterpret_cast<const char*>(data), size);
        return 0;
      });
  nghttp2_session_callbacks_set_on_stream_close_callback(
      made, [](nghttp2_session*, std::int32_t id, std::uint32_t code, void* self) {
        self_of(self).answers_[id].closed = true;
        self_of(self).answers_[id].code = code;
        return 0;
      });
  nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(
      made, [](nghttp2_session*, const nghttp2_frame*, int, void*) {
        demand(false, "every frame that a client gets is by the rules");
        return 0;
      });
  nghttp2_session* session = nullptr;
  demand(nghttp2_session_client_new(&session, made, this) == 0, "there is memory");
  nghttp2_session_callbacks_del(made);
  session_.reset(session);
  nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, nullptr, 0);
}

ssize_t H2Client::read_body(nghttp2_session*, std::int32_t id, std::uint8_t* out, std::size_t room,
                            std::uint32_t* flags, nghttp2_data_source*, void* self) {
  Body& body = self_of(self).bodies_[id];
  const std::size_t size = std::min(room, body.bytes.size() - body.sent);
  std::memcpy(out, body.bytes.data() + body.sent, size);
  body.sent += size;
  if (body.sent < body.bytes.size()) return static_cast<ssize_t>(size);
  if (!body.open) *flags |= NGHTTP2_DATA_FLAG_EOF;
  if (size == 0 && body.open) return NGHTTP2_ERR_DEFERRED;
  return static_cast<ssize_t>(size);
}

int H2Client::on_header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name,
                        std::size_t name_size, const std::uint8_t* value, std::size_t value_size,
                        std::uint8_t, void* self) {
  const std::string_view field(reinterpret_cast<const char*>(name), name_size);
  if (field != ":status") return 0;
  Answer& answer = self_of(self).answers_[frame->hd.stream_id];
  const int status = std::stoi(std::string(reinterpret_cast<const char*>(value), value_size));
  if (status < 200) ++answer.interims;
  if (status >= 200) answer.status = status;
  return 0;
}

std::int32_t H2Client::request(const Fields& fields, std::string_view body, bool open) {
  std::vector<nghttp2_nv> list;
  for (const auto& [name, value] : fields) {
    // nghttp2 takes pointers to non-const and does not write through them.
    list.push_back({reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data())),
                    reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data())), name.size(),
                    value.size(), NGHTTP2_NV_FLAG_NONE});
  }
  nghttp2_data_provider provider{};
  provider.read_callback = &H2Client::read_body;
  const bool none = body.empty() && !open;
  const std::int32_t id = nghttp2_submit_request(session_.get(), nullptr, list.data(), list.size(),
                                                 none ? nullptr : &provider, nullptr);
  if (id > 0) bodies_[id] = {std::string(body), 0, open};
  return id;
}

void H2Client::pump() {
  const std::string_view bytes = link_.received();
  if (!bytes.empty()) {
    const ssize_t n = nghttp2_session_mem_recv(
        session_.get(), reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    demand(n >= 0, "what a client gets are frames");
    link_.consume(bytes.size());
  }
  for (;;) {
    const std::uint8_t* out = nullptr;
    const ssize_t n = nghttp2_session_mem_send(session_.get(), &out);
    if (n <= 0) return;
    link_.send({reinterpret_cast<const char*>(out), static_cast<std::size_t>(n)});
  }
}

}  // namespace portico::in_memory
