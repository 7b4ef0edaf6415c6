#include <algorithm>
#include <array>

#include "proxy/h1/folded.hpp"
#include "proxy/h1/head.hpp"
#include "proxy/h1/octets.hpp"

namespace portico::proxy::h1 {

namespace {

struct Known {
  Folded name;
  FieldId id;

  constexpr Known(std::string_view lower_case, FieldId field) noexcept : name(lower_case), id(field) {}
};

// Shorter names first, so that each length is one run of the table.
constexpr std::array known{
    Known{"te", FieldId::te},
    Known{"via", FieldId::via},
    Known{"host", FieldId::host},
    Known{"accept", FieldId::accept},
    Known{"cookie", FieldId::cookie},
    Known{"expect", FieldId::expect},
    Known{"trailer", FieldId::trailer},
    Known{"upgrade", FieldId::upgrade},
    Known{"location", FieldId::location},
    Known{"forwarded", FieldId::forwarded},
    Known{"x-real-ip", FieldId::x_real_ip},
    Known{"x-api-key", FieldId::x_api_key},
    Known{"connection", FieldId::connection},
    Known{"keep-alive", FieldId::keep_alive},
    Known{"session-id", FieldId::session_id},
    Known{"session_id", FieldId::session_id_underscore},
    Known{"user-agent", FieldId::user_agent},
    Known{"retry-after", FieldId::retry_after},
    Known{"content-type", FieldId::content_type},
    Known{"x-request-id", FieldId::x_request_id},
    Known{"x-session-id", FieldId::x_session_id},
    Known{"authorization", FieldId::authorization},
    Known{"content-length", FieldId::content_length},
    Known{"x-cpa-trace-id", FieldId::x_cpa_trace_id},
    Known{"x-goog-api-key", FieldId::x_goog_api_key},
    Known{"x-forwarded-for", FieldId::x_forwarded_for},
    Known{"proxy-connection", FieldId::proxy_connection},
    Known{"x-forwarded-host", FieldId::x_forwarded_host},
    Known{"content-encoding", FieldId::content_encoding},
    Known{"anthropic-version", FieldId::anthropic_version},
    Known{"sec-websocket-key", FieldId::sec_websocket_key},
    Known{"transfer-encoding", FieldId::transfer_encoding},
    Known{"x-forwarded-proto", FieldId::x_forwarded_proto},
    Known{"proxy-authenticate", FieldId::proxy_authenticate},
    Known{"x-forwarded-prefix", FieldId::x_forwarded_prefix},
    Known{"x-session-affinity", FieldId::x_session_affinity},
    Known{"proxy-authorization", FieldId::proxy_authorization},
    Known{"x-client-request-id", FieldId::x_client_request_id},
    Known{"sec-websocket-accept", FieldId::sec_websocket_accept},
    Known{"sec-websocket-extensions", FieldId::sec_websocket_extensions},
    Known{"x-claude-code-session-id", FieldId::x_claude_code_session_id},
};

constexpr std::size_t longest = known.back().name.size();

static_assert(std::is_sorted(known.begin(), known.end(), [](const Known& left, const Known& right) {
  return left.name.size() < right.name.size();
}));

// first_of_length[n] is where the names of n bytes begin, first_of_length[n + 1] where they end.
constexpr auto first_of_length = [] {
  std::array<std::uint8_t, longest + 2> first{};
  for (std::size_t length = 0; length < first.size(); ++length) {
    std::uint8_t index = 0;
    while (index < known.size() && known[index].name.size() < length) ++index;
    first[length] = index;
  }
  return first;
}();

constexpr Folded forwarded_prefix("x-forwarded-");

}  // namespace

FieldId identify(std::string_view name) noexcept {
  if (name.size() <= longest) {
    const PackedWord packed = pack(name);
    for (std::size_t i = first_of_length[name.size()]; i != first_of_length[name.size() + 1]; ++i)
      if (known[i].name.matches(packed)) return known[i].id;
  }
  if (name.size() >= forwarded_prefix.size() &&
      forwarded_prefix.matches(name.substr(0, forwarded_prefix.size())))
    return FieldId::x_forwarded_other;
  return FieldId::other;
}

bool removable(FieldId id, std::string_view name) noexcept {
  switch (id) {
    case FieldId::authorization:
    case FieldId::content_encoding:
    case FieldId::content_length:
    case FieldId::content_type:
    case FieldId::cookie:
    case FieldId::expect:
    case FieldId::forwarded:
    case FieldId::host:
    case FieldId::sec_websocket_accept:
    case FieldId::sec_websocket_extensions:
    case FieldId::sec_websocket_key:
    case FieldId::transfer_encoding:
    case FieldId::x_api_key:
    case FieldId::x_forwarded_for:
    case FieldId::x_forwarded_host:
    case FieldId::x_forwarded_other:
    case FieldId::x_forwarded_prefix:
    case FieldId::x_forwarded_proto:
    case FieldId::x_goog_api_key:
    case FieldId::x_real_ip:
    case FieldId::x_request_id:
      return false;
    case FieldId::other:
      return !starts_with_folded(name, "sec-websocket-");
    default:
      return true;
  }
}

}  // namespace portico::proxy::h1
