#include "proxy/http/redirect.hpp"

#include "proxy/h1/authority.hpp"
#include "proxy/h1/octets.hpp"

namespace portico::proxy::http {

namespace {

constexpr std::uint16_t https_port = 443;

/// A valid authority without its port; an IPv6 address keeps its brackets.
std::string_view host_of(std::string_view authority) noexcept {
  const std::size_t end =
      authority.starts_with('[') ? authority.find(']') + 1 : authority.substr(0, authority.find(':')).size();
  return authority.substr(0, end);
}

}  // namespace

std::string origin_form(std::string_view target) {
  if (!h1::all(h1::Octet::target, target) || target.find('#') != std::string_view::npos) return "/";
  if (target.starts_with('/')) return std::string(target);
  const std::optional<std::string_view> authority = h1::authority_of(target);
  if (!authority) return "/";
  const std::string_view rest =
      target.substr(static_cast<std::size_t>(authority->data() - target.data()) + authority->size());
  return rest.starts_with('/') ? std::string(rest) : "/" + std::string(rest);
}

std::optional<std::string> https_location(std::string_view host, std::string_view target,
                                          std::uint16_t port) {
  if (!h1::valid_authority(host)) return std::nullopt;
  std::string location = "https://";
  location += host_of(host);
  if (port != https_port) location += ":" + std::to_string(port);
  return location + origin_form(target);
}

std::string answer_redirect(const h1::RequestHead& head, std::uint16_t port, const AnswerFacts& facts) {
  const std::optional<std::string> location = https_location(head.host, head.target, port);
  if (location) return format_redirect(308, *location, facts);
  AnswerFacts refused = facts;
  refused.sentence =
      "This port only sends clients on to https, and the request does not say to which host; add the header "
      "Host, or ask the https port.";
  return format_answer(AnswerCode::bad_request, refused);
}

}  // namespace portico::proxy::http
