#include "proxy/http/presented_key.hpp"

#include <algorithm>
#include <string_view>

#include "proxy/h1/octets.hpp"

namespace portico::proxy::http {

namespace {

bool names_key(std::string_view parameter) noexcept {
  const std::string_view name = parameter.substr(0, parameter.find('='));
  // An escaped name could be either: a reader decodes it.
  return name == "key" || name == "auth_token" || name.find('%') != std::string_view::npos;
}

}  // namespace

bool presents_key(const h1::RequestHead& head) noexcept {
  using h1::FieldId;
  const h1::HeadFields& fields = *head.fields;
  if (fields.has(FieldId::authorization) || fields.has(FieldId::x_api_key) ||
      fields.has(FieldId::x_goog_api_key)) {
    return true;
  }
  const std::size_t question = head.target.find('?');
  if (question != std::string_view::npos) {
    for (std::string_view query = head.target.substr(question + 1); !query.empty();) {
      const std::size_t end = std::min(query.find('&'), query.size());
      if (names_key(query.substr(0, end))) return true;
      query.remove_prefix(std::min(end + 1, query.size()));
    }
  }
  return std::any_of(fields.all().begin(), fields.all().end(), [](const h1::Field& field) {
    return field.id == FieldId::other && (h1::equal_folded(field.name, "x-management-key") ||
                                          h1::equal_folded(field.name, "sec-websocket-protocol"));
  });
}

}  // namespace portico::proxy::http
