#include "telemetry/record_metrics.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "telemetry/usage/account.hpp"
#include "telemetry/utf8.hpp"

namespace portico::telemetry {
namespace {

// Bounds in microseconds. Answers of models take from milliseconds to an hour.
constexpr std::array<std::uint64_t, 17> wait_bounds{
    1'000,     2'500,     5'000,     10'000,     25'000,     50'000,     100'000,     250'000,      500'000,
    1'000'000, 2'500'000, 5'000'000, 10'000'000, 30'000'000, 60'000'000, 300'000'000, 1'800'000'000};
constexpr std::array<std::uint64_t, 13> token_bounds{1'000,   2'500,     5'000,    10'000, 15'000,
                                                     20'000,  30'000,    50'000,   75'000, 100'000,
                                                     250'000, 1'000'000, 5'000'000};
constexpr std::array<std::uint64_t, 12> overhead_bounds{10,    25,    50,    100,    250,    500,
                                                        1'000, 2'500, 5'000, 10'000, 50'000, 250'000};

// Buckets are not cumulated here.
template <const auto& Bounds>
class Durations {
 public:
  void observe(std::uint64_t us) noexcept {
    const auto bucket = std::lower_bound(Bounds.begin(), Bounds.end(), us) - Bounds.begin();
    ++buckets_[static_cast<std::size_t>(bucket)];
    sum_ += us;
    seen_ = true;
  }
  [[nodiscard]] bool seen() const noexcept { return seen_; }
  void write(MetricsWriter& out, const MetricLabels& labels) const {
    out.histogram(labels, Bounds, buckets_, sum_);
  }

 private:
  std::array<std::uint64_t, Bounds.size() + 1> buckets_{};
  std::uint64_t sum_ = 0;
  bool seen_ = false;
};

// What a model is asked by one dialect.
struct Pair {
  Pair(Dialect dialect, std::string_view model)
      : labels{{"dialect", name_of(dialect)}, {"model", model}},
        token_labels(make_token_labels(dialect, model)) {}

  static std::array<MetricLabels, token_kind_count> make_token_labels(Dialect dialect,
                                                                      std::string_view model) {
    std::array<MetricLabels, token_kind_count> made;
    for (std::size_t i = 0; i < made.size(); ++i) {
      made[i] = MetricLabels{
          {"dialect", name_of(dialect)}, {"model", model}, {"kind", name_of(static_cast<TokenKind>(i))}};
    }
    return made;
  }

  MetricLabels labels;
  std::array<MetricLabels, token_kind_count> token_labels;
  bool has_tokens = false;
  std::array<std::uint64_t, token_kind_count> tokens{};
  Durations<wait_bounds> first_token;
  Durations<token_bounds> per_token;
};

struct Model {
  std::string name;
  bool vouched = false;
  std::array<std::unique_ptr<Pair>, dialect_count> pairs;
  std::array<std::uint64_t, category_count * fault_field_count> failures{};
};

struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
};

constexpr std::string_view unknown_model = "unknown";
constexpr std::string_view other_model = "other";
constexpr std::size_t unknown_place = 0;
constexpr std::size_t other_place = 1;

}  // namespace

class RecordMetrics::Impl {
 public:
  explicit Impl(std::size_t models) : bound_(std::max<std::size_t>(models, 1)) {
    // These two are there from the start, and are what a client means who calls its model so.
    add(unknown_model, true);
    add(other_model, true);
  }

  void take(const Record& record, const std::optional<Verdict>& verdict) {
    const RecordFacts& facts = record.facts();
    const Account account = account_of(facts);
    if (account == Account::none) return;
    Model* model = nullptr;
    if (verdict) {
      model = &model_of(record);
      ++model->failures[static_cast<std::size_t>(verdict->category) * fault_field_count +
                        static_cast<std::size_t>(verdict->field)];
    }
    if (account == Account::warmup) return;

    duration.observe(facts.duration_us);
    if (facts.first_byte_us != no_time) first_byte.observe(facts.first_byte_us);
    if (facts.overhead_us != no_time) overhead.observe(facts.overhead_us);
    if (!facts.tokens.seen && facts.first_token_us == no_time) return;
    if (model == nullptr) model = &model_of(record);
    Pair& pair = pair_of(*model, facts.dialect);
    if (facts.tokens.seen) {
      pair.has_tokens = true;
      for (std::size_t i = 0; i < token_kind_count; ++i) pair.tokens[i] += facts.tokens.kinds[i];
    }
    if (facts.first_token_us != no_time) pair.first_token.observe(facts.first_token_us);
    if (const std::optional<double> seconds = seconds_per_output_token(facts)) {
      pair.per_token.observe(static_cast<std::uint64_t>(std::llround(*seconds * 1e6)));
    }
  }

  template <class Write>
  void each_pair(Write write) const {
    for (const std::unique_ptr<Model>& model : models_) {
      for (const std::unique_ptr<Pair>& pair : model->pairs) {
        if (pair) write(*pair);
      }
    }
  }

  void write_failures(MetricsWriter& out) const {
    for (const std::unique_ptr<Model>& model : models_) {
      for (std::size_t i = 0; i < model->failures.size(); ++i) {
        if (model->failures[i] == 0) continue;
        out.sample({name_of(static_cast<Category>(i / fault_field_count)),
                    name_of(static_cast<FaultField>(i % fault_field_count)), model->name},
                   model->failures[i]);
      }
    }
  }

  Durations<wait_bounds> duration;
  Durations<wait_bounds> first_byte;
  Durations<overhead_bounds> overhead;

 private:
  Model& add(std::string_view name, bool vouched) {
    models_.push_back(std::make_unique<Model>());
    Model& model = *models_.back();
    model.name = name;
    model.vouched = vouched;
    places_.emplace(name, models_.size() - 1);
    return model;
  }

  Model& model_of(const Record& record) {
    std::string_view name = record.text(Text::model);
    if (name.empty()) return *models_[unknown_place];
    // Names that are shown alike must be one label: a scrape with the same line twice is refused whole.
    std::string clean;
    if (std::any_of(name.begin(), name.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; })) {
      clean = utf8(name);
      name = clean;
    }
    const auto found = places_.find(name);
    if (found != places_.end()) {
      Model& model = *models_[found->second];
      if (!model.vouched && vouches(record)) {
        model.vouched = true;
        --unvouched_;
      }
      return model;
    }
    const bool vouched = vouches(record);
    const std::size_t named = models_.size() - 2;
    if (named >= bound_ || (!vouched && unvouched_ >= std::max<std::size_t>(bound_ / 4, 1))) {
      return *models_[other_place];
    }
    if (!vouched) ++unvouched_;
    return add(name, vouched);
  }

  static Pair& pair_of(Model& model, Dialect dialect) {
    std::unique_ptr<Pair>& pair = model.pairs[static_cast<std::size_t>(dialect)];
    if (!pair) pair = std::make_unique<Pair>(dialect, model.name);
    return *pair;
  }

  std::size_t bound_;
  std::size_t unvouched_ = 0;
  std::vector<std::unique_ptr<Model>> models_;
  std::unordered_map<std::string, std::size_t, TextHash, std::equal_to<>> places_;
};

RecordMetrics::RecordMetrics(std::size_t models) : impl_(std::make_unique<Impl>(models)) {}

RecordMetrics::~RecordMetrics() = default;

void RecordMetrics::take(const Record& record, const std::optional<Verdict>& verdict) {
  impl_->take(record, verdict);
}

void RecordMetrics::write_request_duration(MetricsWriter& out) const {
  impl_->duration.write(out, MetricLabels());
}

void RecordMetrics::write_first_byte(MetricsWriter& out) const {
  impl_->first_byte.write(out, MetricLabels());
}

void RecordMetrics::write_overhead(MetricsWriter& out) const { impl_->overhead.write(out, MetricLabels()); }

void RecordMetrics::write_first_token(MetricsWriter& out) const {
  impl_->each_pair([&](const Pair& pair) {
    if (pair.first_token.seen()) pair.first_token.write(out, pair.labels);
  });
}

void RecordMetrics::write_per_token(MetricsWriter& out) const {
  impl_->each_pair([&](const Pair& pair) {
    if (pair.per_token.seen()) pair.per_token.write(out, pair.labels);
  });
}

void RecordMetrics::write_tokens(MetricsWriter& out) const {
  impl_->each_pair([&](const Pair& pair) {
    if (!pair.has_tokens) return;
    for (std::size_t i = 0; i < token_kind_count; ++i) out.sample(pair.token_labels[i], pair.tokens[i]);
  });
}

void RecordMetrics::write_failures(MetricsWriter& out) const { impl_->write_failures(out); }

}  // namespace portico::telemetry
