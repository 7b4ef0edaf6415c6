// decide() against a model of the readings that is slow, obvious and shares no code with it.

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <new>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch.hpp>

#include "routing/table.hpp"

using namespace portico;
using namespace portico::routing;

// ThreadSanitizer's runtime defines operator new itself and does not let a program replace it, so the tests
// that count allocations are left out under it.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define PORTICO_ALLOCATIONS_UNCOUNTED
#endif
#endif

#ifndef PORTICO_ALLOCATIONS_UNCOUNTED
namespace {

thread_local std::size_t allocations = 0;

}  // namespace

// The whole test program counts what it allocates, so that a test can show that deciding does not. All the
// forms that the default operator delete may be handed are replaced, so that a sanitizer sees pairs.
// NOLINTBEGIN(cppcoreguidelines-owning-memory): these functions are the owner.
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  ++allocations;
  return std::malloc(size == 0 ? 1 : size);
}
void* operator new(std::size_t size) {
  if (void* memory = operator new(size, std::nothrow)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
// NOLINTEND(cppcoreguidelines-owning-memory)
#endif

namespace {

std::vector<conf::RouteSettings> default_routes() { return conf::Settings::defaults().routes; }

RouteTable default_table() {
  const std::vector<std::string> names{"cpa", "cpamp"};
  return {default_routes(), names};
}

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at))
    text.replace(at, what.size(), by);
  return text;
}

std::optional<int> escape_at(const std::string& text, std::size_t at) {
  static const std::string kDigits = "0123456789abcdef";
  if (at + 2 >= text.size() || text[at] != '%') return std::nullopt;
  const auto high = kDigits.find(static_cast<char>(std::tolower(static_cast<unsigned char>(text[at + 1]))));
  const auto low = kDigits.find(static_cast<char>(std::tolower(static_cast<unsigned char>(text[at + 2]))));
  if (high == std::string::npos || low == std::string::npos) return std::nullopt;
  return static_cast<int>(high * 16 + low);
}

std::string model_decoded(const std::string& text, bool keep_slashes) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const auto value = escape_at(text, i);
    if (!value) {
      out += text[i++];
    } else {
      out += keep_slashes && *value == '/' ? text.substr(i, 3) : std::string(1, static_cast<char>(*value));
      i += 3;
    }
  }
  return out;
}

// RFC 3986 section 5.2.4 step by step, with its input and output buffers.
std::string without_dots(std::string in) {
  std::string out;
  while (!in.empty()) {
    if (in.starts_with("/./")) {
      in = in.substr(2);
    } else if (in == "/.") {
      in = "/";
    } else if (in.starts_with("/../") || in == "/..") {
      in = in == "/.." ? "/" : in.substr(3);
      out = out.empty() ? "" : out.substr(0, out.rfind('/'));
    } else {
      const std::size_t end = std::min(in.find('/', 1), in.size());
      out += in.substr(0, end);
      in = in.substr(end);
    }
  }
  return out;
}

std::string merged(const std::string& path) { return replaced(path, "//", "/"); }

std::vector<std::string> model_readings(const std::string& raw) {
  std::vector<std::string> readings;
  const std::string once = model_decoded(raw, false);
  for (const std::string& text : {raw, once, model_decoded(once, false), model_decoded(raw, true)}) {
    readings.push_back(text);
    readings.push_back(without_dots(merged(text)));
    readings.push_back(merged(without_dots(text)));
  }
  return readings;
}

// The upstream's name, or the path of the rule that answers without one.
std::string model_owner(const std::string& path) {
  const conf::RouteSettings* best = nullptr;
  static const auto kRoutes = default_routes();
  for (const auto& route : kRoutes) {
    const bool exact = route.match == conf::RouteSettings::Match::exact;
    if (exact ? path != route.path : !path.starts_with(route.path)) continue;
    const bool best_exact = best && best->match == conf::RouteSettings::Match::exact;
    if (!best || exact || (!best_exact && route.path.size() > best->path.size())) best = &route;
  }
  REQUIRE(best);
  return best->action == conf::RouteSettings::Action::upstream ? best->upstream : "= " + best->path;
}

bool ends_name(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0x80 || (!std::isalnum(byte) && std::string("-._~").find(c) == std::string::npos);
}

bool model_guarded(const std::string& path) {
  const std::vector<std::string> roots = {"/v0/management", "/v0/resource", "/management.html"};
  return std::any_of(roots.begin(), roots.end(), [&path](const std::string& root) {
    return path == root || (path.starts_with(root) && ends_name(path[root.size()]));
  });
}

// An owner, `ambiguous` or `bad`; for targets in origin-form.
std::string model_outcome(const std::string& target) {
  for (const char c : target) {
    if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7f || c == '#') return "bad";
  }
  const std::string raw = target.substr(0, target.find('?'));
  if (raw.find('\\') != std::string::npos) return "bad";
  for (std::size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] != '%') continue;
    const auto value = escape_at(raw, i);
    if (!value || *value < 0x20 || *value == 0x7f || *value == '\\') return "bad";
  }
  std::string owner = model_owner(without_dots(merged(model_decoded(raw, false))));
  for (const std::string& reading : model_readings(raw)) {
    if (model_owner(reading) != owner) return "ambiguous";
    if (owner == "cpa" && model_guarded(reading)) return "ambiguous";
  }
  return owner;
}

std::string outcome(const RouteTable& table, const Decision& decision) {
  if (decision.refusal == Refusal::ambiguous_path) return "ambiguous";
  if (decision.refusal != Refusal::none) return "bad";
  const Route& route = *decision.route;
  return route.upstream ? std::string(table.upstream_name(*route.upstream)) : "= " + route.settings.path;
}

class Targets {
 public:
  explicit Targets(unsigned seed) : random_(seed) {}

  std::string next() {
    static const std::vector<std::string> kPieces = {"/",
                                                     "/",
                                                     "/",
                                                     "/",
                                                     "//",
                                                     ".",
                                                     "..",
                                                     "/../",
                                                     "/./",
                                                     "%2f",
                                                     "%2F",
                                                     "%2e",
                                                     "%2E%2e",
                                                     "%25",
                                                     "%252e",
                                                     "%252f",
                                                     "%252e%252e%252f",
                                                     "v0",
                                                     "v0",
                                                     "v0",
                                                     "management",
                                                     "management",
                                                     "/v0/management/",
                                                     "/v0/management",
                                                     "/v0/resource/plugins/",
                                                     "resource",
                                                     "plugins",
                                                     "v1",
                                                     "v1beta",
                                                     "health",
                                                     "models",
                                                     "management.html",
                                                     "usage-service",
                                                     "%76",
                                                     "%6d",
                                                     "%256d",
                                                     ";",
                                                     "?",
                                                     "a",
                                                     "x%20y",
                                                     "\xc3\xa4",
                                                     "%c3%a4",
                                                     "~",
                                                     "-"};
    static const std::vector<std::string> kRefused = {"%00",  "%5c",  "\\", "#",   "%",     "%2",
                                                      "\x01", "\x7f", " ",  "%1f", "%255c", "%2500"};
    std::string target = "/";
    for (auto n = random_() % 10; n > 0; --n)
      target +=
          random_() % 60 == 0 ? kRefused[random_() % kRefused.size()] : kPieces[random_() % kPieces.size()];
    return target;
  }

 private:
  std::mt19937 random_;
};

constexpr int kCases = 60'000;

}  // namespace

TEST_CASE("decide() agrees with a plain model of every reading", "[table][property]") {
  const RouteTable table = default_table();
  PathScratch scratch;
  Targets targets(1);
  int accepted_unclean = 0, ambiguous = 0, bad = 0, panel = 0;
  for (int i = 0; i < kCases; ++i) {
    const std::string target = targets.next();
    const Decision decision = table.decide(target, scratch);
    const std::string expected = model_outcome(target);
    if (outcome(table, decision) != expected) {
      CAPTURE(target);
      REQUIRE(outcome(table, decision) == expected);
    }
    const std::string raw = target.substr(0, target.find('?'));
    if (expected != "bad" && decision.path != without_dots(merged(model_decoded(raw, false)))) {
      CAPTURE(target);
      REQUIRE(decision.path == without_dots(merged(model_decoded(raw, false))));
    }
    ambiguous += expected == "ambiguous";
    bad += expected == "bad";
    panel += expected == "cpamp";
    accepted_unclean += decision.route && decision.path != raw;
  }
  // The pieces must make enough of each, or the comparison shows nothing.
  CHECK(accepted_unclean > kCases / 10);
  CHECK(ambiguous > kCases / 10);
  CHECK(bad > kCases / 100);
  CHECK(panel > kCases / 100);
}

TEST_CASE("a target read in one pass is decided as one read with care", "[table][property]") {
  // An absolute-form target never takes the short way, whatever its path.
  const RouteTable table = default_table();
  PathScratch scratch;
  PathScratch careful_scratch;
  Targets targets(2);
  int unanimous = 0;
  for (int i = 0; i < kCases; ++i) {
    const std::string target = targets.next();
    const std::string absolute = "http://front.example" + target;
    const Decision decision = table.decide(target, scratch);
    const Decision careful = table.decide(absolute, careful_scratch);
    unanimous += read_target(target, careful_scratch).unanimous;
    const bool same = decision.refusal == careful.refusal && decision.route == careful.route;
    if (!same) {
      CAPTURE(target);
      REQUIRE(same);
    }
  }
  CHECK(unanimous > kCases / 20);
}

#ifndef PORTICO_ALLOCATIONS_UNCOUNTED
TEST_CASE("deciding does not allocate once the scratch has grown", "[table][property]") {
  const RouteTable table = default_table();
  PathScratch scratch;
  // The longest target of all makes each of the three strings grow: escaped, unclean and read in every way.
  const std::string longest = "/v1/" + std::string(200, 'a') + "//%2e/%252e/x";
  REQUIRE(table.decide(longest, scratch).route);

  std::vector<std::string> targets;
  Targets source(3);
  while (targets.size() < 5'000) {
    targets.push_back(source.next());
    REQUIRE(targets.back().size() < longest.size());
  }
  const std::size_t before = allocations;
  std::size_t routed = 0;
  for (const std::string& target : targets) routed += table.decide(target, scratch).route != nullptr;
  const std::size_t after = allocations;
  CHECK(after == before);
  CHECK(routed > 500);
}

TEST_CASE("deciding about a plain target never touches the scratch", "[table]") {
  const RouteTable table = default_table();
  PathScratch scratch;
  const std::string target = "/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse&key=a%2Fb";
  const std::size_t before = allocations;
  const Decision decision = table.decide(target, scratch);
  CHECK(allocations == before);
  CHECK(decision.route);
  CHECK(scratch.reading.empty());
}
#endif
