#include "telemetry/usage/usage_store.hpp"

#include <algorithm>
#include <cstring>
#include <functional>
#include <unordered_map>
#include <utility>

#include "telemetry/usage/account.hpp"
#include "telemetry/utf8.hpp"

namespace portico::telemetry {
namespace {

constexpr std::array<std::string_view, dimension_count> dimension_names{"model", "key", "dialect", "route",
                                                                        "endpoint"};

constexpr std::uint32_t overflow_series = 0;
constexpr std::int64_t no_bucket = INT64_MIN;

constexpr std::size_t base_budget = 16ULL * 1024 * 1024;
constexpr std::size_t budget_for_series = 8ULL * 1024;

// What tells one series from another. Labels are numbers here: they are stable as long as the process lives.
struct SeriesKeyView {
  std::string_view model;
  KeyFingerprint key{};
  std::uint16_t route = no_label;
  std::uint16_t endpoint = no_label;
  Dialect dialect = Dialect::other;
  friend bool operator==(const SeriesKeyView&, const SeriesKeyView&) = default;
};

struct SeriesKey {
  std::string model;
  SeriesKeyView rest;  // its model is empty

  explicit SeriesKey(const SeriesKeyView& view) : model(view.model), rest(view) { rest.model = {}; }
  [[nodiscard]] SeriesKeyView view() const noexcept {
    SeriesKeyView whole = rest;
    whole.model = model;
    return whole;
  }
};

struct SeriesHash {
  using is_transparent = void;
  std::size_t operator()(const SeriesKeyView& key) const noexcept {
    // Nobody outside can choose fingerprints, and std::hash of a text is seeded only by its bytes: a client
    // that finds model names of equal hash makes its own key's lookups slower within the bound on series, no
    // more.
    std::uint64_t low = 0;
    std::memcpy(&low, key.key.data(), sizeof low);
    const std::uint64_t labels = (std::uint64_t{key.route} << 24U) ^ (std::uint64_t{key.endpoint} << 8U) ^
                                 static_cast<std::uint64_t>(key.dialect);
    return std::hash<std::string_view>{}(key.model) ^ (low + labels * 0x9E3779B97F4A7C15ULL);
  }
  std::size_t operator()(const SeriesKey& key) const noexcept { return (*this)(key.view()); }
};

struct SeriesEqual {
  using is_transparent = void;
  bool operator()(const SeriesKey& a, const SeriesKey& b) const noexcept { return a.view() == b.view(); }
  bool operator()(const SeriesKey& a, const SeriesKeyView& b) const noexcept { return a.view() == b; }
  bool operator()(const SeriesKeyView& a, const SeriesKey& b) const noexcept { return a == b.view(); }
};

std::size_t cell_bytes(const UsageCell& cell) noexcept {
  // Two pointers and an allocation's overhead for the node, and its share of the table.
  constexpr std::size_t overhead = 48;
  return sizeof(UsageCell) + overhead + cell.duration.bytes() + cell.first_token.bytes();
}

// A record as a cell counts it, worked out once for both timelines.
struct Addition {
  Account account = Account::none;
  bool has_first_token = false;
  SketchBucket duration = 0;
  SketchBucket first_token = 0;
};

void add_to(UsageCell& cell, const RecordFacts& facts, const Addition& addition) {
  UsageCounts& counts = cell.counts;
  if (addition.account == Account::warmup) {
    ++counts.warmups;
    return;
  }
  ++counts.requests;
  counts.failed += facts.failed ? 1 : 0;
  counts.client_gone += facts.ended == Ended::client_gone ? 1 : 0;
  counts.turns += facts.kind == RecordKind::turn ? 1 : 0;
  if (facts.tokens.seen) {
    for (std::size_t i = 0; i < token_kind_count; ++i) counts.tokens[i] += facts.tokens.kinds[i];
  }
  ++counts.quality[static_cast<std::size_t>(facts.usage_quality)];
  counts.request_bytes += facts.request_bytes;
  counts.response_bytes += facts.response_bytes;
  cell.duration.observe(addition.duration);
  if (addition.has_first_token) cell.first_token.observe(addition.first_token);
}

}  // namespace

std::string_view name_of(Dimension dimension) noexcept {
  return dimension_names[static_cast<std::size_t>(dimension)];
}

std::optional<Dimension> dimension_named(std::string_view name) noexcept {
  for (std::size_t i = 0; i < dimension_names.size(); ++i) {
    if (dimension_names[i] == name) return static_cast<Dimension>(i);
  }
  return std::nullopt;
}

UsageCounts& UsageCounts::operator+=(const UsageCounts& other) noexcept {
  requests += other.requests;
  failed += other.failed;
  client_gone += other.client_gone;
  turns += other.turns;
  warmups += other.warmups;
  for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] += other.tokens[i];
  for (std::size_t i = 0; i < quality.size(); ++i) quality[i] += other.quality[i];
  request_bytes += other.request_bytes;
  response_bytes += other.response_bytes;
  return *this;
}

class UsageStore::Impl {
 public:
  explicit Impl(std::size_t series)
      : bound_(std::max<std::size_t>(series, 1)),
        minutes_(static_cast<std::size_t>(minute_buckets), base_budget + budget_for_series * bound_),
        hours_(static_cast<std::size_t>(hour_buckets), base_budget + budget_for_series * bound_) {
    Series other;
    other.name.overflow = true;
    // A cell too many: the series of what is above the bound stays.
    other.cells = 1;
    series_.push_back(std::move(other));
  }

  void take(const Record& record, const RecordLabels& labels) {
    const RecordFacts& facts = record.facts();
    Addition addition;
    addition.account = account_of(facts);
    if (addition.account == Account::none) return;
    addition.duration = sketch_bucket(facts.duration_us);
    addition.has_first_token = facts.first_token_us != no_time;
    if (addition.has_first_token) addition.first_token = sketch_bucket(facts.first_token_us);

    const std::uint64_t end = end_unix_us(facts);
    // First, since what is over makes room for series.
    Bucket& minute = bucket_at(minutes_, minute_of(end));
    Bucket& hour = bucket_at(hours_, hour_of(end));
    const std::uint32_t series = series_of(record, labels);
    // Held over both: in folded buckets the record does not count by this name, which would then be nobody's.
    ++series_[series].cells;
    count(minutes_, minute, series, facts, addition);
    count(hours_, hour, series, facts, addition);
    release(series);
  }

  [[nodiscard]] std::vector<UsageRow> rows(const WindowBuckets& window) const {
    const Timeline& line = window.by_hour ? hours_ : minutes_;
    std::size_t size = 0;
    for (const Bucket& bucket : line.buckets) size += bucket.number >= window.first ? bucket.cells.size() : 0;
    std::vector<UsageRow> out;
    out.reserve(size);
    for (const Bucket& bucket : line.buckets) {
      if (bucket.number < window.first) continue;
      for (const auto& [series, cell] : bucket.cells) out.push_back({series, &cell});
    }
    return out;
  }

  [[nodiscard]] std::size_t series_end() const noexcept { return series_.size(); }
  [[nodiscard]] const SeriesName& name(std::uint32_t series) const noexcept { return series_[series].name; }
  [[nodiscard]] std::size_t series() const noexcept { return index_.size(); }
  [[nodiscard]] std::uint64_t overflowed() const noexcept { return overflowed_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return minutes_.bytes + hours_.bytes; }

 private:
  using Cells = std::unordered_map<std::uint32_t, UsageCell>;

  struct Bucket {
    std::int64_t number = no_bucket;
    bool folded = false;
    Cells cells;
  };

  // The buckets of the last hours or days, each in the place of its number.
  struct Timeline {
    Timeline(std::size_t places, std::size_t bytes_allowed) : buckets(places), budget(bytes_allowed) {}
    Bucket& at(std::int64_t number) noexcept {
      return buckets[static_cast<std::size_t>(number) % buckets.size()];
    }

    std::vector<Bucket> buckets;  // places are empty, or hold one of the numbers up to `newest`
    std::size_t budget;
    std::size_t bytes = 0;
    std::int64_t newest = no_bucket;
    std::int64_t folded_to = 0;  // nothing older is left to fold
    // The cell that the last record went to: most follow one another in one series.
    std::int64_t last_number = no_bucket;
    std::uint32_t last_series = 0;
    UsageCell* last_cell = nullptr;
  };

  struct Series {
    SeriesName name;
    bool vouched = false;
    std::size_t cells = 0;           // that name it; at zero it goes
    const SeriesKey* key = nullptr;  // in the index
  };

  std::uint32_t series_of(const Record& record, const RecordLabels& labels) {
    const RecordFacts& facts = record.facts();
    const SeriesKeyView key{record.text(Text::model), facts.key, facts.route, facts.endpoint, facts.dialect};
    const auto found = index_.find(key);
    if (found != index_.end()) {
      Series& series = series_[found->second];
      if (!series.vouched && vouches(record)) {
        series.vouched = true;
        --unvouched_;
      }
      return found->second;
    }
    const bool vouched = vouches(record);
    if (index_.size() >= bound_ || (!vouched && unvouched_ >= std::max<std::size_t>(bound_ / 4, 1))) {
      ++overflowed_;
      return overflow_series;
    }

    std::uint32_t number = 0;
    if (free_.empty()) {
      number = static_cast<std::uint32_t>(series_.size());
      series_.emplace_back();
    } else {
      number = free_.back();
      free_.pop_back();
    }
    Series& series = series_[number];
    series.name = {utf8(key.model),
                   utf8(record.text(Text::key_mask)),
                   facts.key,
                   facts.dialect,
                   utf8(labels.route),
                   utf8(labels.endpoint),
                   false};
    series.vouched = vouched;
    series.key = &index_.emplace(SeriesKey(key), number).first->first;
    if (!vouched) ++unvouched_;
    return number;
  }

  void release(std::uint32_t number) {
    Series& series = series_[number];
    if (--series.cells != 0) return;
    if (!series.vouched) --unvouched_;
    index_.erase(index_.find(*series.key));
    series = {};
    free_.push_back(number);
  }

  void count(Timeline& line, Bucket& bucket, std::uint32_t series, const RecordFacts& facts,
             const Addition& addition) {
    if (bucket.number == line.last_number && series == line.last_series && line.last_cell != nullptr) {
      grow(line, *line.last_cell, facts, addition);
    } else {
      // In a folded bucket all that comes late is `other` too.
      const std::uint32_t cell_series = bucket.folded ? overflow_series : series;
      const auto [place, fresh] = bucket.cells.try_emplace(cell_series);
      UsageCell& cell = place->second;
      if (fresh) {
        ++series_[cell_series].cells;
        line.bytes += cell_bytes(cell);
      }
      line.last_number = bucket.number;
      line.last_series = series;
      line.last_cell = &cell;
      grow(line, cell, facts, addition);
    }
    while (line.bytes > line.budget && fold_oldest(line)) {
    }
  }

  static void grow(Timeline& line, UsageCell& cell, const RecordFacts& facts, const Addition& addition) {
    const std::size_t before = cell_bytes(cell);
    add_to(cell, facts, addition);
    line.bytes += cell_bytes(cell) - before;
  }

  Bucket& bucket_at(Timeline& line, std::int64_t number) {
    const auto places = static_cast<std::int64_t>(line.buckets.size());
    if (line.newest == no_bucket || number <= line.newest - places) {
      // The first, or the clock was set back further than anything is kept: what lies ahead would hide what
      // comes.
      for (Bucket& bucket : line.buckets) clear(line, bucket);
      line.newest = number;
      line.folded_to = 0;
    }
    for (std::int64_t n = std::max(line.newest + 1, number - places + 1); n <= number; ++n) {
      clear(line, line.at(n));  // what was there is over
    }
    line.newest = std::max(line.newest, number);
    Bucket& bucket = line.at(number);
    if (bucket.number != number) {
      bucket.number = number;
      line.folded_to = std::min(line.folded_to, number);
    }
    return bucket;
  }

  void clear(Timeline& line, Bucket& bucket) {
    for (const auto& [series, cell] : bucket.cells) {
      line.bytes -= cell_bytes(cell);
      release(series);
    }
    // Swapped, not cleared: a table keeps its places for ever.
    Cells().swap(bucket.cells);
    bucket.number = no_bucket;
    bucket.folded = false;
    line.last_cell = nullptr;
  }

  // Makes one cell of the oldest bucket's. False where only the newest bucket is left.
  bool fold_oldest(Timeline& line) {
    const auto places = static_cast<std::int64_t>(line.buckets.size());
    for (std::int64_t number = std::max(line.folded_to, line.newest - places + 1); number < line.newest;
         ++number) {
      line.folded_to = number + 1;
      Bucket& bucket = line.at(number);
      if (bucket.number != number || bucket.folded) continue;
      UsageCell sum;
      for (const auto& [series, cell] : bucket.cells) {
        sum.counts += cell.counts;
        sum.duration.add(cell.duration);
        sum.first_token.add(cell.first_token);
      }
      clear(line, bucket);
      bucket.number = number;
      bucket.folded = true;
      line.bytes += cell_bytes(sum);
      bucket.cells.emplace(overflow_series, std::move(sum));
      ++series_[overflow_series].cells;
      return true;
    }
    return false;
  }

  std::size_t bound_;
  std::size_t unvouched_ = 0;
  std::uint64_t overflowed_ = 0;
  std::vector<Series> series_;
  std::vector<std::uint32_t> free_;
  std::unordered_map<SeriesKey, std::uint32_t, SeriesHash, SeriesEqual> index_;
  Timeline minutes_;
  Timeline hours_;
};

UsageStore::UsageStore(std::size_t series) : impl_(std::make_unique<Impl>(series)) {}

UsageStore::~UsageStore() = default;

void UsageStore::take(const Record& record, const RecordLabels& labels) { impl_->take(record, labels); }

std::vector<UsageRow> UsageStore::rows(const WindowBuckets& window) const { return impl_->rows(window); }

std::size_t UsageStore::series_end() const noexcept { return impl_->series_end(); }

const SeriesName& UsageStore::name(std::uint32_t series) const noexcept { return impl_->name(series); }

std::size_t UsageStore::series() const noexcept { return impl_->series(); }

std::uint64_t UsageStore::overflowed() const noexcept { return impl_->overflowed(); }

std::size_t UsageStore::bytes() const noexcept { return impl_->bytes(); }

}  // namespace portico::telemetry
