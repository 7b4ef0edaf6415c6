#include "telemetry/collector.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "telemetry/failures/classify.hpp"
#include "telemetry/failures/failures_json.hpp"
#include "telemetry/log.hpp"
#include "telemetry/safe_record.hpp"

namespace portico::telemetry {

namespace {
// A round's share of each ring: some milliseconds of work, so that a scrape never waits long.
constexpr std::size_t records_a_round = 2'048;
// Long enough that a busy worker fills no cache line twice for it, short enough for people who watch events.
constexpr std::chrono::milliseconds nap{20};
}  // namespace

/// The thread's side: an event descriptor and a timer on its executor.
class Collector::Loop {
 public:
  Loop(Collector& collector, const boost::asio::any_io_executor& executor)
      : collector_(collector), descriptor_(executor, collector.waker_.descriptor()), timer_(executor) {}
  ~Loop() { descriptor_.release(); }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  void start() {
    wait_for_wake();
    work();
  }

 private:
  void wait_for_wake() {
    descriptor_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                           [this](const boost::system::error_code& error) {
                             if (error) return;
                             collector_.waker_.clear();
                             wait_for_wake();
                             // A nap that is cut short; its handler finds the state changed.
                             if (pausing_) {
                               timer_.cancel();
                               pausing_ = false;
                               work();
                             }
                           });
  }

  void work() {
    collector_.waker_.set(Waker::State::awake);
    const bool commanded = collector_.run_commands();
    const std::size_t taken = collector_.round();
    if (taken > 0 || commanded) {
      found_ = true;
      if (taken >= records_a_round) {
        boost::asio::post(timer_.get_executor(), [this] { work(); });
        return;
      }
      pause();
      return;
    }
    // What came between the nap's last look and now must not be slept through.
    if (std::exchange(found_, false)) {
      pause();
      return;
    }
    collector_.waker_.set(Waker::State::asleep);
    if (!collector_.idle()) {
      boost::asio::post(timer_.get_executor(), [this] { work(); });
      return;
    }
    pausing_ = true;
  }

  void pause() {
    pausing_ = true;
    collector_.waker_.set(Waker::State::napping);
    timer_.expires_after(nap);
    timer_.async_wait([this](const boost::system::error_code& error) {
      if (error || !pausing_) return;
      pausing_ = false;
      work();
    });
  }

  Collector& collector_;
  boost::asio::posix::stream_descriptor descriptor_;
  boost::asio::steady_timer timer_;
  bool pausing_ = false;  // in a nap or asleep
  bool found_ = false;    // since the last nap
};

Collector::Collector(const conf::Settings& settings, const Registry& registry)
    : registry_(registry), stores_(settings.telemetry) {
  rings_.reserve(registry.workers());
  for (std::size_t i = 0; i < registry.workers(); ++i)
    rings_.push_back(std::make_unique<Ring>(settings.telemetry.ring, waker_));
  stores_.rings = [this] { return totals(); };
  stores_.failures = [this](const Window& window, std::chrono::system_clock::time_point now) {
    return render_failures(failures_, window, now);
  };
  stores_.access_log.configure(settings.access_log);
}

Collector::~Collector() = default;

ThreadHooks Collector::hooks() {
  ThreadHooks hooks;
  hooks.start = [this](const boost::asio::any_io_executor& executor) {
    loop_ = std::make_unique<Loop>(*this, executor);
    loop_->start();
  };
  hooks.stop = [this] {
    loop_.reset();
    while (round() > 0) {
    }
  };
  return hooks;
}

void Collector::configure(const conf::AccessLogSettings& settings) {
  post([this, settings] { stores_.access_log.configure(settings); });
}

void Collector::reopen_logs() {
  post([this] { stores_.access_log.reopen(); });
}

void Collector::post(std::function<void()> command) {
  {
    const std::lock_guard lock(mutex_);
    commands_.push_back(std::move(command));
  }
  commanded_.store(true, std::memory_order_seq_cst);
  waker_.wake_for(true);
}

bool Collector::run_commands() {
  if (!commanded_.exchange(false, std::memory_order_seq_cst)) return false;
  std::vector<std::function<void()>> commands;
  {
    const std::lock_guard lock(mutex_);
    commands.swap(commands_);
  }
  for (const std::function<void()>& command : commands) command();
  return true;
}

/// Whether nothing waits; asked after the state was set to asleep.
bool Collector::idle() {
  if (commanded_.load(std::memory_order_seq_cst)) return false;
  return std::all_of(rings_.begin(), rings_.end(),
                     [](const std::unique_ptr<Ring>& ring) { return ring->empty(); });
}

/// Takes up to records_a_round from each ring; returns the most that one had.
std::size_t Collector::round() {
  std::size_t most = 0;
  for (const std::unique_ptr<Ring>& ring : rings_) {
    most = std::max(most, ring->drain(records_a_round, [this](const Record& record) { take(record); }));
  }
  stores_.access_log.flush();
  return most;
}

void Collector::take(const Record& record) {
  try {
    const std::optional<Verdict> verdict = classify(record);
    if (verdict || SafeRecord::needed_for(record)) {
      const SafeRecord safe(record);
      keep(safe.record(), verdict);
    } else {
      keep(record, verdict);
    }
  } catch (const std::exception& error) {
    // For want of memory; the record is lost, the next one may be lucky.
    log(Level::error, "a record was not accounted: {}", error.what());
  }
}

void Collector::keep(const Record& record, const std::optional<Verdict>& verdict) {
  const RecordLabels labels = labels_of(record.facts());
  if (verdict) {
    // The groups see it in the light of other records; the record itself keeps what it says by itself, so
    // that its metrics do not depend on what came before.
    failures_.take(record, *verdict, labels);
  } else {
    failures_.note_success(record);
  }
  stores_.take(record, verdict, labels);
}

RecordLabels Collector::labels_of(const RecordFacts& facts) {
  const auto missing = [](std::uint16_t label, std::size_t known) {
    return label != no_label && label >= known;
  };
  if (missing(facts.route, routes_.size())) routes_ = registry_.routes();
  if (missing(facts.endpoint, endpoints_.size())) endpoints_ = registry_.endpoints();
  if (missing(facts.listener, listeners_.size())) listeners_ = registry_.listeners();
  RecordLabels labels;
  if (facts.listener < listeners_.size()) labels.listener = listeners_[facts.listener];
  if (facts.route < routes_.size()) labels.route = routes_[facts.route];
  if (facts.endpoint < endpoints_.size()) {
    labels.upstream = endpoints_[facts.endpoint].upstream;
    labels.endpoint = endpoints_[facts.endpoint].endpoint;
  }
  return labels;
}

RingTotals Collector::totals() const {
  RingTotals totals;
  for (const std::unique_ptr<Ring>& ring : rings_) {
    totals.records += ring->pushed();
    totals.dropped_full += ring->dropped();
    totals.used_bytes += ring->used_bytes();
  }
  return totals;
}

}  // namespace portico::telemetry
