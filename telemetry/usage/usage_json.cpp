#include "telemetry/usage/usage_json.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <numeric>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "telemetry/json_writer.hpp"
#include "telemetry/record_filter.hpp"
#include "telemetry/time_text.hpp"

namespace portico::telemetry {
namespace {

constexpr std::uint32_t no_group = UINT32_MAX;
constexpr std::string_view unknown_model = "unknown";
constexpr std::string_view overflow_value = "other";
// Enough to tell apart the keys of any deployment; a record has the whole.
constexpr std::size_t shown_fingerprint = 16;

struct Percentiles {
  std::optional<double> p50;
  std::optional<double> p95;
  std::optional<double> p99;
};

Percentiles percentiles_of(const DenseSketch& sketch) noexcept {
  return {sketch.quantile(0.50), sketch.quantile(0.95), sketch.quantile(0.99)};
}

struct Sums {
  UsageCounts counts;
  Percentiles duration;
  Percentiles first_token;
};

template <std::uint64_t UsageCounts::*Count>
void write_count(JsonWriter& out, const Sums& sums) {
  out.number(sums.counts.*Count);
}

template <Percentiles Sums::*Values>
void write_percentiles(JsonWriter& out, const Sums& sums) {
  const Percentiles& values = sums.*Values;
  out.open_object();
  out.key("p50").number(values.p50).key("p95").number(values.p95).key("p99").number(values.p99);
  out.close_object();
}

void write_tokens(JsonWriter& out, const Sums& sums) {
  out.open_object();
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < token_kind_count; ++i) {
    out.key(name_of(static_cast<TokenKind>(i))).number(sums.counts.tokens[i]);
    total += sums.counts.tokens[i];
  }
  out.key("total").number(total).close_object();
}

void write_quality(JsonWriter& out, const Sums& sums) {
  out.open_object();
  for (std::size_t i = 0; i < usage_quality_count; ++i) {
    out.key(name_of(static_cast<UsageQuality>(i))).number(sums.counts.quality[i]);
  }
  out.close_object();
}

struct CountsRow {
  FieldRow field;
  void (*write)(JsonWriter& out, const Sums& sums);
};

constexpr std::array counts_rows{
    CountsRow{{"requests", "exchanges, turns of WebSockets, and WebSockets that had no turn"},
              write_count<&UsageCounts::requests>},
    CountsRow{{"failed", "of them: failed, as a record's `failed` says"}, write_count<&UsageCounts::failed>},
    CountsRow{{"client_gone", "of them: the client left before the end"},
              write_count<&UsageCounts::client_gone>},
    CountsRow{{"turns", "of them: turns of WebSockets"}, write_count<&UsageCounts::turns>},
    CountsRow{{"warmups", "turns that run no model; not among the requests, nor in anything below"},
              write_count<&UsageCounts::warmups>},
    CountsRow{{"tokens",
               "sums of `input`, `cache_read`, `cache_creation`, `output`, `reasoning`, `unclassified`, "
               "which never share a token, and `total`; requests without usage add nothing"},
              write_tokens},
    CountsRow{
        {"usage_quality",
         "requests by how far their tokens can be relied on: `none` (no usage was seen), `complete`, "
         "`inconsistent`, `unclassified` (nothing but a total), `partial` (cut before the final numbers), "
         "`estimated`"},
        write_quality},
    CountsRow{{"request_bytes", "bytes of request bodies"}, write_count<&UsageCounts::request_bytes>},
    CountsRow{{"response_bytes", "bytes of response bodies"}, write_count<&UsageCounts::response_bytes>},
    CountsRow{{"duration_seconds",
               "`p50`, `p95`, `p99` of the requests' durations, at most 5 % off; `null` where "
               "there is none"},
              write_percentiles<&Sums::duration>},
    CountsRow{{"time_to_first_token_seconds", "the same of the time to the first token"},
              write_percentiles<&Sums::first_token>},
};

constexpr auto counts_fields = [] {
  std::array<FieldRow, counts_rows.size()> fields{};
  for (std::size_t i = 0; i < fields.size(); ++i) fields[i] = counts_rows[i].field;
  return fields;
}();

constexpr std::array document_fields{
    FieldRow{"window", "as asked for"},
    FieldRow{"from",
             "where the first counted minute begins, or hour where the window is longer than 3 hours"},
    FieldRow{"to", "now"},
    FieldRow{"group_by", "as asked for"},
    FieldRow{"totals", "counts over all groups, below"},
    FieldRow{"groups",
             "one object a group: a value for each name of `group_by`, and its counts; most requests "
             "first, then by name. With `key` in `group_by` also `key_fingerprint`"},
    FieldRow{"groups_omitted", "groups beyond the first 10,000: counted in `totals`, not listed"},
};

void write_sums(JsonWriter& out, const Sums& sums) {
  for (const CountsRow& row : counts_rows) {
    out.key(row.field.name);
    row.write(out, sums);
  }
}

std::string_view model_of(const SeriesName& name) noexcept {
  if (name.overflow) return overflow_value;
  return name.model.empty() ? unknown_model : std::string_view(name.model);
}

// The value of a group, and what tells it from others. Two keys of one mask are two groups.
std::string_view value_of(const SeriesName& name, Dimension dimension) noexcept {
  if (name.overflow) return overflow_value;
  switch (dimension) {
    case Dimension::model:
      return model_of(name);
    case Dimension::key:
      return name.key_mask;
    case Dimension::dialect:
      return name_of(name.dialect);
    case Dimension::route:
      return name.route;
    case Dimension::endpoint:
      return name.endpoint;
  }
  return {};
}

bool fits(const UsageQuery& query, const SeriesName& name) noexcept {
  const auto same = [&](const std::optional<std::string>& wanted, Dimension dimension) {
    return !wanted || *wanted == value_of(name, dimension);
  };
  if (!same(query.model, Dimension::model) || !same(query.dialect, Dimension::dialect) ||
      !same(query.route, Dimension::route) || !same(query.endpoint, Dimension::endpoint)) {
    return false;
  }
  if (!query.key) return true;
  return name.overflow ? *query.key == overflow_value : key_fits(*query.key, name.key_mask, name.key);
}

std::string group_text(const UsageQuery& query, const SeriesName& name) {
  std::string text;
  for (const Dimension dimension : query.group_by) {
    text += value_of(name, dimension);
    text += '\0';
    if (dimension == Dimension::key && !name.overflow) text += key_hex(name.key);
  }
  return text;
}

struct Group {
  std::string text;
  const SeriesName* name = nullptr;  // of one of its series
  std::size_t cells = 0;
  Sums sums;
};

// The groups of a query's rows, and for each series its group.
struct Grouping {
  std::vector<Group> groups;
  std::vector<std::uint32_t> of_series;
};

Grouping group(const UsageStore& store, const UsageQuery& query, const std::vector<UsageRow>& rows) {
  constexpr std::uint32_t unseen = no_group - 1;
  Grouping grouping;
  grouping.of_series.assign(store.series_end(), unseen);
  std::unordered_map<std::string, std::uint32_t> known;
  for (const UsageRow& row : rows) {
    std::uint32_t& number = grouping.of_series[row.series];
    if (number == unseen) {
      const SeriesName& name = store.name(row.series);
      if (!fits(query, name)) {
        number = no_group;
        continue;
      }
      std::string text = group_text(query, name);
      const auto [place, fresh] =
          known.try_emplace(std::move(text), static_cast<std::uint32_t>(grouping.groups.size()));
      number = place->second;
      if (fresh) grouping.groups.push_back({place->first, &name, 0, {}});
    }
    if (number != no_group) ++grouping.groups[number].cells;
  }
  return grouping;
}

// Adds up group by group, so that one dense sketch of each kind serves all of them.
Sums add_up(Grouping& grouping, const std::vector<UsageRow>& rows) {
  std::vector<std::size_t> next(grouping.groups.size());
  std::size_t size = 0;
  for (std::size_t g = 0; g < next.size(); ++g) {
    next[g] = size;
    size += grouping.groups[g].cells;
  }
  std::vector<const UsageCell*> ordered(size);
  for (const UsageRow& row : rows) {
    const std::uint32_t number = grouping.of_series[row.series];
    if (number != no_group) ordered[next[number]++] = row.cell;
  }

  Sums totals;
  DenseSketch all_durations;
  DenseSketch all_first_tokens;
  DenseSketch durations;
  DenseSketch first_tokens;
  auto cell = ordered.cbegin();
  for (Group& group : grouping.groups) {
    durations.clear();
    first_tokens.clear();
    for (std::size_t i = 0; i < group.cells; ++i, ++cell) {
      group.sums.counts += (*cell)->counts;
      durations.add((*cell)->duration);
      first_tokens.add((*cell)->first_token);
    }
    group.sums.duration = percentiles_of(durations);
    group.sums.first_token = percentiles_of(first_tokens);
    totals.counts += group.sums.counts;
    all_durations.add(durations);
    all_first_tokens.add(first_tokens);
  }
  totals.duration = percentiles_of(all_durations);
  totals.first_token = percentiles_of(all_first_tokens);
  return totals;
}

void write_group(JsonWriter& out, const UsageQuery& query, const Group& group) {
  out.open_object();
  for (const Dimension dimension : query.group_by) {
    out.key(name_of(dimension)).text_or_null(value_of(*group.name, dimension));
    if (dimension != Dimension::key) continue;
    const bool shown = !group.name->overflow && has_key(group.name->key);
    out.key("key_fingerprint")
        .text_or_null(shown ? std::string_view(key_hex(group.name->key)).substr(0, shown_fingerprint)
                            : std::string_view());
  }
  write_sums(out, group.sums);
  out.close_object();
}

}  // namespace

FieldRows usage_fields() noexcept { return document_fields; }

FieldRows usage_counts_fields() noexcept { return counts_fields; }

std::string render_usage(const UsageStore& store, const UsageQuery& query,
                         std::chrono::system_clock::time_point now) {
  const WindowBuckets window = buckets_of(query.window, now);
  const std::vector<UsageRow> rows = store.rows(window);
  Grouping grouping = group(store, query, rows);
  const Sums totals = add_up(grouping, rows);

  std::string text;
  JsonWriter out(text);
  out.open_object();
  out.key("window").text(query.window.text).key("from").text(rfc3339(window.from));
  out.key("to").text(rfc3339(now)).key("group_by").open_array();
  for (const Dimension dimension : query.group_by) out.text(name_of(dimension));
  out.close_array().key("totals").open_object();
  write_sums(out, totals);
  out.close_object().key("groups").open_array();

  std::vector<const Group*> order;
  if (!query.group_by.empty()) {
    order.reserve(grouping.groups.size());
    for (const Group& group : grouping.groups) order.push_back(&group);
  }
  std::sort(order.begin(), order.end(), [](const Group* a, const Group* b) {
    const std::uint64_t a_requests = a->sums.counts.requests;
    const std::uint64_t b_requests = b->sums.counts.requests;
    return a_requests != b_requests ? a_requests > b_requests : a->text < b->text;
  });
  const std::size_t shown = std::min(order.size(), max_usage_groups);
  for (std::size_t i = 0; i < shown; ++i) write_group(out, query, *order[i]);
  out.close_array().key("groups_omitted").number(order.size() - shown).close_object();
  return text;
}

}  // namespace portico::telemetry
