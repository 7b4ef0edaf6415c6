#include <cctype>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "proxy/h1/head.hpp"

namespace portico::proxy::h1 {
namespace {

const std::vector<std::pair<std::string, FieldId>> names = {
    {"Accept", FieldId::accept},
    {"Anthropic-Version", FieldId::anthropic_version},
    {"Authorization", FieldId::authorization},
    {"Connection", FieldId::connection},
    {"Content-Length", FieldId::content_length},
    {"Content-Type", FieldId::content_type},
    {"Cookie", FieldId::cookie},
    {"Expect", FieldId::expect},
    {"Forwarded", FieldId::forwarded},
    {"Host", FieldId::host},
    {"Keep-Alive", FieldId::keep_alive},
    {"Location", FieldId::location},
    {"Proxy-Authenticate", FieldId::proxy_authenticate},
    {"Proxy-Authorization", FieldId::proxy_authorization},
    {"Proxy-Connection", FieldId::proxy_connection},
    {"Sec-WebSocket-Accept", FieldId::sec_websocket_accept},
    {"Sec-WebSocket-Key", FieldId::sec_websocket_key},
    {"TE", FieldId::te},
    {"Trailer", FieldId::trailer},
    {"Transfer-Encoding", FieldId::transfer_encoding},
    {"Upgrade", FieldId::upgrade},
    {"Via", FieldId::via},
    {"X-Forwarded-For", FieldId::x_forwarded_for},
    {"X-Forwarded-Host", FieldId::x_forwarded_host},
    {"X-Forwarded-Prefix", FieldId::x_forwarded_prefix},
    {"X-Forwarded-Proto", FieldId::x_forwarded_proto},
    {"X-Real-IP", FieldId::x_real_ip},
    {"X-Request-Id", FieldId::x_request_id},
    {"Content-Encoding", FieldId::content_encoding},
    {"Retry-After", FieldId::retry_after},
    {"Sec-WebSocket-Extensions", FieldId::sec_websocket_extensions},
    {"Session-Id", FieldId::session_id},
    {"Session_id", FieldId::session_id_underscore},
    {"User-Agent", FieldId::user_agent},
    {"X-Api-Key", FieldId::x_api_key},
    {"X-Claude-Code-Session-Id", FieldId::x_claude_code_session_id},
    {"X-Client-Request-Id", FieldId::x_client_request_id},
    {"X-Cpa-Trace-Id", FieldId::x_cpa_trace_id},
    {"X-Goog-Api-Key", FieldId::x_goog_api_key},
    {"X-Session-Affinity", FieldId::x_session_affinity},
    {"X-Session-ID", FieldId::x_session_id},
};

TEST_CASE("every known header name is known in any case") {
  for (const auto& [name, id] : names) {
    INFO(name);
    std::string lower = name;
    std::string upper = name;
    for (char& letter : lower) letter = static_cast<char>(std::tolower(letter));
    for (char& letter : upper) letter = static_cast<char>(std::toupper(letter));
    CHECK(identify(name) == id);
    CHECK(identify(lower) == id);
    CHECK(identify(upper) == id);
  }
}

TEST_CASE("a name that differs from a known one in a single place is another name") {
  for (const auto& [name, id] : names) {
    INFO(name);
    CHECK(identify(name + "s") != id);
    CHECK(identify(name.substr(1)) != id);
    for (std::size_t at = 0; at < name.size(); ++at) {
      std::string other = name;
      // `_` for `-` among them: some servers take the two for one.
      other[at] = name[at] == '-' ? '_' : '0';
      CHECK(identify(other) != id);
    }
  }
}

TEST_CASE("names that Portico has no interest in are only copied") {
  for (const std::string name :
       {"", "X", "User_Agent", "Session_ids", "Originator", "x-forwarded", "X-Forwarde-For"})
    CHECK(identify(name) == FieldId::other);
  CHECK(identify(std::string(5000, 'x')) == FieldId::other);
}

TEST_CASE("every further X-Forwarded- name is recognised as one, however long") {
  CHECK(identify("X-Forwarded-Port") == FieldId::x_forwarded_other);
  CHECK(identify("x-forwarded-ssl") == FieldId::x_forwarded_other);
  CHECK(identify("X-FORWARDED-") == FieldId::x_forwarded_other);
  CHECK(identify("X-Forwarded-For2") == FieldId::x_forwarded_other);
  CHECK(identify("X-Forwarded-Client-Certificate-Chain") == FieldId::x_forwarded_other);
}

TEST_CASE("what frames, routes, authenticates or names the client cannot be removed by Connection") {
  for (const std::string name : {"X-Forwarded-For",
                                 "X-Forwarded-Host",
                                 "X-Forwarded-Proto",
                                 "X-Forwarded-Prefix",
                                 "X-Forwarded-Port",
                                 "X-Real-IP",
                                 "Forwarded",
                                 "X-Request-Id",
                                 "Host",
                                 "Authorization",
                                 "Content-Length",
                                 "Content-Type",
                                 "Content-Encoding",
                                 "Transfer-Encoding",
                                 "Cookie",
                                 "Expect",
                                 "x-api-key",
                                 "X-Goog-Api-Key",
                                 "Sec-WebSocket-Key",
                                 "Sec-WebSocket-Accept",
                                 "Sec-WebSocket-Protocol",
                                 "sec-websocket-version"}) {
    INFO(name);
    CHECK_FALSE(removable(identify(name), name));
  }
}

TEST_CASE("other fields can be removed by Connection") {
  for (const std::string name : {"Keep-Alive", "TE", "Upgrade", "HTTP2-Settings", "X-Hop", "Proxy-Connection",
                                 "x-api-key2", "Content-Encodin"}) {
    INFO(name);
    CHECK(removable(identify(name), name));
  }
}

}  // namespace
}  // namespace portico::proxy::h1
