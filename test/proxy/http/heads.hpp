#pragma once
// Heads for the tests of proxy/http: read from text, written, and read again as a backend would.

#include <algorithm>
#include <array>
#include <cctype>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/h1/head.hpp"
#include "proxy/http/forward.hpp"

namespace portico::proxy::http::test {

/// A request read by the real parser. Views point into it, so it stays where it is.
class Request {
 public:
  explicit Request(std::string text) : text_(std::move(text)) {
    error = h1::parse_request(text_, h1::RequestLimits{}, fields, head);
  }
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  std::string upstream(const UpstreamHeadFacts& facts) const {
    std::string out(text_.size() + max_added_bytes, '?');
    out.resize(write_upstream_head(head, facts, out));
    return out;
  }

 private:
  std::string text_;

 public:
  h1::HeadFields fields{200};
  h1::RequestHead head;
  h1::HeadError error;
};

/// A response read by the real parser.
class Response {
 public:
  explicit Response(std::string text) : text_(std::move(text)) {
    error = h1::parse_response(text_, false, fields, head);
  }
  Response(const Response&) = delete;
  Response& operator=(const Response&) = delete;

  std::string client(const ClientHeadFacts& facts) const {
    std::string out(text_.size() + max_added_bytes, '?');
    out.resize(write_client_head(head, facts, out));
    return out;
  }

 private:
  std::string text_;

 public:
  h1::HeadFields fields{200};
  h1::ResponseHead head;
  h1::HeadError error;
};

/// A message as its receiver sees it: the start line, then names in lower case with their values.
struct Seen {
  std::string start;
  std::vector<std::pair<std::string, std::string>> fields;
  bool ends_well = false;
  std::string body;

  explicit Seen(std::string_view text) {
    bool first = true;
    for (;;) {
      const auto end = text.find("\r\n");
      if (end == std::string_view::npos) return;
      const auto line = text.substr(0, end);
      text.remove_prefix(end + 2);
      if (line.empty()) break;
      if (first) {
        start = line;
        first = false;
        continue;
      }
      const auto colon = line.find(':');
      std::string name(line.substr(0, colon));
      std::transform(name.begin(), name.end(), name.begin(),
                     [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
      auto value = line.substr(std::min(colon + 1, line.size()));
      while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.remove_prefix(1);
      while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) value.remove_suffix(1);
      fields.emplace_back(std::move(name), std::string(value));
    }
    ends_well = true;
    body = text;
  }

  std::vector<std::string> all(std::string_view name) const {
    std::vector<std::string> values;
    for (const auto& [n, v] : fields) {
      if (n == name) values.push_back(v);
    }
    return values;
  }
  bool has(std::string_view name) const { return !all(name).empty(); }
  /// The value of a field that must stand once.
  std::string one(std::string_view name) const {
    const auto values = all(name);
    return values.size() == 1 ? values.front() : "(" + std::to_string(values.size()) + " lines)";
  }
};

}  // namespace portico::proxy::http::test
