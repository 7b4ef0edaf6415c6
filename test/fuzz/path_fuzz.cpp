// Any bytes as a request target: the table decides without a crash, and what it accepts every reader takes to
// the same owner, none of them to a path that CPA guards.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "conf/settings.hpp"
#include "routing/explain.hpp"
#include "routing/table.hpp"

namespace {

using namespace portico;
using namespace portico::routing;

void demand(bool holds) {
  if (!holds) std::abort();
}

const RouteTable& table() {
  static const RouteTable kTable = [] {
    const conf::Settings settings = conf::Settings::defaults();
    std::vector<std::string> names;
    names.reserve(settings.upstreams.size());
    for (const auto& upstream : settings.upstreams) names.push_back(upstream.name);
    return RouteTable(settings.routes, names);
  }();
  return kTable;
}

bool same_owner(const Route& a, const Route& b) {
  return a.id == b.id || (a.upstream && a.upstream == b.upstream);
}

// A reading is itself a target once it is encoded so that nobody can read it otherwise.
std::string plain_target(std::string_view path) {
  static constexpr std::string_view kDigits = "0123456789ABCDEF";
  static constexpr std::string_view kEncoded = "%?#\\ ";
  std::string target;
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte == 0x7f || kEncoded.find(c) != std::string_view::npos) {
      target += '%';
      target += kDigits[byte / 16];
      target += kDigits[byte % 16];
    } else {
      target += c;
    }
  }
  return target;
}

void check_accepted(std::string_view as_received, const Route& owner) {
  PathScratch scratch;
  std::string decoded;
  std::string cleaned;
  for (const Decoding decoding : kDecodings) {
    decode(as_received, decoding, decoded);
    for (const Cleaning cleaning : {Cleaning::merge_then_dots, Cleaning::dots_then_merge}) {
      clean(decoded, cleaning, cleaned);
      demand(cleaned.starts_with('/') && cleaned.find("//") == std::string::npos);
      std::string again;
      clean(cleaned, cleaning, again);
      demand(again == cleaned);
      const Decision other = table().decide(plain_target(cleaned), scratch);
      if (other.route) demand(same_owner(*other.route, owner));
      const bool cpa = owner.upstream && table().upstream_name(*owner.upstream) == "cpa";
      for (const std::string_view root : {"/v0/management", "/v0/resource", "/management.html"})
        demand(!cpa || (cleaned != root && !cleaned.starts_with(std::string(root) + "/")));
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view target(reinterpret_cast<const char*>(data), size);
  PathScratch scratch;
  const ReadTarget read = read_target(target, scratch);
  demand(read.refusal != Refusal::ambiguous_path);
  demand(read.path.view().empty() == (read.refusal != Refusal::none || read.is_asterisk));

  const Decision decision = table().decide(target, scratch);
  demand((decision.route == nullptr) == (decision.refusal != Refusal::none || decision.is_asterisk));
  PathScratch other;
  demand(table().objection(target, other).has_value() == (decision.refusal == Refusal::ambiguous_path));
  if (decision.route) check_accepted(read.as_received, *decision.route);
  demand(explain(table(), target).ends_with('\n'));
  return 0;
}
