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

namespace portico::routing {

/// Index into RouteTable::routes().
enum class RouteId : std::uint16_t {};
/// Index into the `upstreams` given to the table.
enum class UpstreamId : std::uint16_t {};

/// Why a target has no owner. Each is answered with 400.
enum class Refusal : std::uint8_t {
  none,
  empty,           ///< no target at all
  bad_form,        ///< neither origin-form, absolute-form nor `*`
  control_byte,    ///< a byte below 0x20, 0x7f or, after decoding, NUL or a control byte
  backslash,       ///< raw or escaped; some readers take it for a slash
  bad_escape,      ///< `%` without two hexadecimal digits
  raw_fragment,    ///< `#` is never sent in a target (RFC 9112 section 3.2)
  ambiguous_path,  ///< two readers could disagree about the owner, or it reaches CPA's guarded paths
};

struct Route {
  RouteId id{};
  conf::RouteSettings settings;
  std::optional<UpstreamId> upstream;  ///< set for Action::upstream
  std::string label;                   ///< `= /health` or `/v1/`; the fallback is `/`; used in metrics
};

/// Room for a reading that differs from the target as received. Grows to the longest target seen.
class PathScratch {
 public:
  std::string reading;
  std::string other;
};

struct Decision {
  const Route* route = nullptr;  ///< null exactly when refusal is not none
  Refusal refusal = Refusal::none;
  std::string_view path;     ///< the reading (query cut off); borrowed from target or scratch
  bool is_asterisk = false;  ///< the target is `*` (only OPTIONS may send it); route is null, refusal none
};

class RouteTable {
 public:
  /// `upstreams` are the names that routes may mention, in UpstreamId order. Precondition: settings have
  /// been checked (every upstream named exists, no rule twice); a table without a `/` prefix rule
  /// answers what nothing matches with the first upstream.
  RouteTable(std::span<const conf::RouteSettings> routes, std::span<const std::string> upstreams);

  /// Reads `target` and finds its owner (specification: an exact rule beats a prefix rule, a longer prefix a
  /// shorter one). Does not allocate once the scratch has grown. No side effects.
  [[nodiscard]] Decision decide(std::string_view target, PathScratch& scratch) const;

  [[nodiscard]] std::span<const Route> routes() const noexcept { return routes_; }
  [[nodiscard]] std::string_view upstream_name(UpstreamId id) const {
    return upstreams_[static_cast<std::size_t>(id)];
  }

 private:
  std::vector<Route> routes_;
  std::vector<std::string> upstreams_;
};

}  // namespace portico::routing
