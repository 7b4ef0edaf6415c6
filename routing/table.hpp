#pragma once
// The route table: which rule owns a request target, decided by a pure function of the target's bytes.
//
// owns:    RouteTable owns its rules; a Decision borrows from the table, the target and the scratch
// threads: a RouteTable is immutable after construction and may be read from any thread; a PathScratch
//          belongs to one thread
// bytes:   the target is never changed or copied when it is already clean; otherwise the reading is
//          written into the scratch

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "conf/settings.hpp"
#include "routing/path.hpp"
#include "routing/path_trie.hpp"
#include "routing/readers.hpp"

namespace portico::routing {

/// Index into RouteTable::routes().
enum class RouteId : std::uint16_t {};
/// Index into the `upstreams` given to the table.
enum class UpstreamId : std::uint16_t {};

struct Route {
  RouteId id{};
  conf::RouteSettings settings{};
  std::optional<UpstreamId> upstream{};  ///< set for Action::upstream
  std::string label{};                   ///< `= /health` or `/v1/`; the fallback is `/`; used in metrics
  /// Some path that this rule fits is one of CPA's guarded paths, and the rule's upstream is not the one
  /// that may serve those.
  bool may_reach_guarded = false;
};

/// The reading for which a target was refused as ambiguous.
struct Objection {
  Reader reader{};
  std::string_view path{};       ///< what that reader sees; borrowed from target or scratch
  const Route* route = nullptr;  ///< the rule that fits it, never null
  const Route* owner = nullptr;  ///< the rule that fits the reading by which Portico routes
  bool guarded = false;  ///< it is a path CPA guards; else the rule has another owner than the reading's
};

struct Decision {
  const Route* route = nullptr;  ///< null exactly when refusal is not none, or is_asterisk
  Refusal refusal = Refusal::none;
  /// The reading (query cut off); borrowed from target or scratch. If refused for anything but ambiguity
  /// there is no reading: then the path as received as far as it could be told, possibly empty, and not fit
  /// for anything but choosing an error's shape.
  std::string_view path{};
  bool is_asterisk = false;  ///< the target is `*` (only OPTIONS may send it); route is null, refusal none
};

class RouteTable {
 public:
  /// `upstreams` are the names that routes may mention, in UpstreamId order. Precondition: settings have
  /// been checked (every upstream named exists, no rule twice); a table without a `/` prefix rule
  /// answers what nothing matches with the first upstream, by a route added at the end of routes().
  /// Throws std::invalid_argument if the precondition does not hold.
  RouteTable(std::span<const conf::RouteSettings> routes, std::span<const std::string> upstreams);

  /// Reads `target` and finds its owner (an exact rule beats a prefix rule, a longer prefix a shorter one).
  /// Refuses a target that another reader would take to another owner, and one by which any reader would take
  /// one of CPA's guarded paths (`/v0/management`, `/v0/resource`, `/management.html`, and what lies under
  /// them) to another upstream than the panel's. The panel's upstream is the one that owns `/v0/management/`
  /// by a rule of that name, or by a shorter one if it does not own `/v1/` as well. Does not allocate once
  /// the scratch has grown. No side effects.
  [[nodiscard]] Decision decide(std::string_view target, PathScratch& scratch) const;

  /// The reading for which decide() refuses `target` as ambiguous; nothing if it does not. To explain, not to
  /// route: it does the work of decide() again.
  [[nodiscard]] std::optional<Objection> objection(std::string_view target, PathScratch& scratch) const;

  [[nodiscard]] std::span<const Route> routes() const noexcept { return routes_; }
  [[nodiscard]] std::string_view upstream_name(UpstreamId id) const {
    return upstreams_[static_cast<std::size_t>(id)];
  }

 private:
  void add(const conf::RouteSettings& settings);
  void mark_guarded();
  [[nodiscard]] const Route& match(std::string_view path) const noexcept { return routes_[trie_.find(path)]; }
  [[nodiscard]] std::optional<Objection> find_objection(const ReadTarget& read, const Route& owner,
                                                        PathScratch& scratch) const;

  std::vector<Route> routes_;
  std::vector<std::string> upstreams_;
  PathTrie trie_;
};

}  // namespace portico::routing
