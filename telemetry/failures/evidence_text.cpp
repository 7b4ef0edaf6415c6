#include "telemetry/failures/evidence_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>

#include "telemetry/failures/wording.hpp"
#include "telemetry/time_text.hpp"

namespace portico::telemetry {
namespace {

using enum Category;

using Names = std::vector<const SeenList::Seen*>;

std::string moment(std::uint64_t unix_us) {
  const auto since_epoch = std::chrono::microseconds(unix_us);
  // Seconds are enough for people.
  return rfc3339(std::chrono::system_clock::time_point(since_epoch)).substr(0, 19) + "Z";
}

// Gathers sentences; one that decides something may change how sure the verdict is.
class Gathering {
 public:
  Gathering(const GroupView& view, const History& history)
      : view_(view), group_(view.group), history_(history), text_(view.group.message) {
    evidence_.confidence = group_.verdict.confidence;
  }

  Evidence run() {
    clues();
    accounts();
    keys_and_models();
    pool();
    client();
    ending();
    symptom();
    if (evidence_.reason.empty()) evidence_.reason = usual_reason();
    return std::move(evidence_);
  }

 private:
  void say(std::string sentence) { evidence_.sentences.push_back(std::move(sentence)); }
  void decide(Confidence confidence, std::string sentence) {
    evidence_.confidence = confidence;
    evidence_.reason = sentence;
    say(std::move(sentence));
  }
  [[nodiscard]] bool has(Clue clue) const noexcept {
    return group_.clues[static_cast<std::size_t>(clue)] >= std::max<std::uint64_t>(view_.from_us, 1);
  }
  [[nodiscard]] Confidence sure() const noexcept { return group_.verdict.confidence; }

  void clues() {
    if (has(Clue::account_worked)) {
      const bool again =
          std::any_of(view_.auth_indexes.begin(), view_.auth_indexes.end(),
                      [&](const SeenList::Seen* one) { return last_success(one->id) > group_.last_us; });
      const bool since_first = !again && std::none_of(view_.auth_indexes.begin(), view_.auth_indexes.end(),
                                                      [&](const SeenList::Seen* one) {
                                                        return last_success(one->id) > group_.first_us;
                                                      });
      decide(
          since_first && view_.count >= 3 ? Confidence::high : sure(),
          again
              ? "the account had worked before and has worked again since"
              : "the account had worked before it was refused: its credential changed, not the auth method");
    }
    if (has(Clue::model_worked)) {
      decide(sure(),
             "this model had been answered within the day before: the credential that exposed it vanished");
    }
    if (has(Clue::provider_worked)) {
      decide(sure(),
             "the account had reached its provider before with the same base URL: the provider or the way to "
             "it is down");
    }
    if (has(Clue::no_name_resolves)) {
      decide(sure(),
             "several host names could not be resolved within five minutes: name resolution on CPA's machine "
             "fails");
    }
    if (has(Clue::several_hosts_fail)) {
      decide(sure(),
             "connections to several hosts failed within five minutes: the line of CPA's machine rather than "
             "one provider");
    }
    if (has(Clue::outage_emptied_pool)) {
      decide(
          sure(),
          "the model's accounts had just failed with errors of the provider: they rest for about a minute");
    }
    if (has(Clue::all_are_refused)) {
      decide(sure(),
             "every request got an empty 503 and none succeeded in between: CPA as a whole does not serve");
    }
    if (has(Clue::cut_together)) {
      decide(
          sure(),
          fmt::format("{} responses broke off within two seconds: the backend restarted or its line was cut",
                      group_.most_together));
    }
    if (has(Clue::sessions_move)) {
      decide(sure(),
             "it repeats: sessions move between accounts, as happens when their session header is lost on "
             "the way");
    }
  }

  [[nodiscard]] std::uint64_t last_success(std::string_view auth_index) const {
    const History::AccountPast* account = history_.accounts().find(auth_index);
    return account == nullptr ? 0 : account->last_success_us;
  }
  [[nodiscard]] bool others_succeed() const {
    return other_succeeds(history_.accounts(), view_.auth_indexes, view_.from_us);
  }
  /// Whether a name that is none of `ours` has worked since the group's first failure in the window.
  template <class Known>
  [[nodiscard]] bool other_succeeds(const Known& known, const Names& ours) const {
    return other_succeeds(known, ours, std::max(group_.first_us, view_.from_us));
  }
  template <class Known>
  [[nodiscard]] static bool other_succeeds(const Known& known, const Names& ours, std::uint64_t since_us) {
    return std::any_of(known.begin(), known.end(), [&](const auto& one) {
      return one.second.last_success_us >= std::max<std::uint64_t>(since_us, 1) &&
             std::none_of(ours.begin(), ours.end(),
                          [&](const SeenList::Seen* name) { return name->id == one.first; });
    });
  }

  void accounts() {
    if (!group_.traced || view_.auth_indexes.empty()) {
      if (!group_.traced && group_.speaker == Speaker::backend && group_.owner == "cpa" &&
          !group_.websocket && group_.verdict.category != client_request) {
        say("there is no trace header: CPA refused before it had chosen an account");
      }
      return;
    }
    const std::string names = list_of(view_.auth_indexes);
    const std::uint64_t since = std::max(group_.first_us, view_.from_us);
    std::uint64_t last = 0;
    for (const SeenList::Seen* one : view_.auth_indexes) last = std::max(last, last_success(one->id));
    const bool again = last > group_.last_us;
    const bool mixed = !again && last >= since && last != 0;
    const bool none_works = !again && !mixed;
    const Category category = group_.verdict.category;
    const bool of_account = category == auth_binding || category == auth_method || category == base_url ||
                            category == quota || category == model_name || category == network;
    if (!of_account) {
      say(fmt::format("it came through auth_index {}", names));
    } else if (view_.auth_indexes.size() > 1) {
      say(fmt::format("{} accounts are affected: auth_index {}", view_.auth_indexes.size(), names));
    } else if (again) {
      say(fmt::format("all of it came through auth_index {}, which has worked again since, last at {}", names,
                      moment(last)));
    } else if (mixed) {
      say(fmt::format("all of it came through auth_index {}, through which other requests succeed", names));
    } else if (others_succeed()) {
      say(fmt::format(
          "only auth_index {} is affected, and nothing succeeded through it since; other accounts work",
          names));
    } else {
      say(fmt::format("all of it came through auth_index {}, through which nothing has succeeded since",
                      names));
    }
    if (category == base_url && mixed) {
      decide(Confidence::low,
             "other requests through the same account succeed, so its base URL can't be all wrong");
    }
    if (category == auth_method && last == 0 && view_.count >= 3) {
      decide(sure(),
             "nothing has ever succeeded through this account since Portico started: the method rather than "
             "an expired credential");
    }
    if (category == upstream_outage && none_works && view_.auth_indexes.size() >= 3) {
      say("several accounts fail alike: the provider, not one account");
    }
  }

  void keys_and_models() {
    const bool one_key = view_.keys.size() == 1;
    const bool one_model = view_.models.size() == 1;
    if (one_key && view_.models.size() >= 2) {
      say(fmt::format(
          "one client key, {}, fails on {} models; {}", view_.keys.front()->shown, view_.models.size(),
          other_succeeds(history_.keys(), view_.keys) ? "other keys work" : "no other key has worked since"));
    } else if (one_model && view_.keys.size() >= 2) {
      say(fmt::format("one model, {}, fails for {} client keys; {}", view_.models.front()->shown,
                      view_.keys.size(),
                      other_succeeds(history_.models(), view_.models) ? "other models work"
                                                                      : "no other model has worked since"));
    }
    if (group_.verdict.category != client_key) return;
    if (view_.keys.empty()) {
      say("the requests presented no key");
      return;
    }
    const History::KeyPast* key = history_.keys().find(view_.keys.front()->id);
    if (one_key && key != nullptr && key->last_success_us != 0) {
      decide(Confidence::high, fmt::format("this key had worked until {}", moment(key->last_success_us)));
    } else if (const std::uint64_t other = success_of_other_key(); other != 0) {
      decide(Confidence::high, fmt::format("another client key works, last at {}", moment(other)));
    } else {
      say("no other client key has worked since Portico started, so CPA's list of keys may be at fault as "
          "well");
    }
  }
  [[nodiscard]] std::uint64_t success_of_other_key() const {
    std::uint64_t last = 0;
    for (const auto& known : history_.keys()) {
      const bool ours = std::any_of(view_.keys.begin(), view_.keys.end(),
                                    [&](const SeenList::Seen* one) { return one->id == known.first; });
      if (!ours) last = std::max(last, known.second.last_success_us);
    }
    return last;
  }

  // What had emptied the pool of accounts before CPA had none to choose.
  void pool() {
    const bool emptied = group_.code == "model_cooldown" || text_.has("auth_unavailable");
    if (!emptied) return;
    for (const SeenList::Seen* seen : view_.models) {
      const History::ModelPast* model = history_.models().find(seen->id);
      if (model == nullptr) continue;
      const std::uint64_t last = std::max({model->last_quota_us, model->last_auth_us, model->last_outage_us});
      if (last == 0) continue;
      say(fmt::format("the last failure with an account of model {} was one of {}, at {}", seen->shown,
                      last == model->last_quota_us  ? "quota"
                      : last == model->last_auth_us ? "authentication"
                                                    : "the provider",
                      moment(last)));
      return;
    }
  }

  void client() {
    if (group_.verdict.category == client_cancelled) cancelled();
    if (group_.verdict.category != client_request) return;
    if (!group_.request_field.empty())
      say(fmt::format("the error names the request's field {}", group_.request_field));
    const Names paths = group_.paths.since(view_.from_us);
    const bool not_served =
        !group_.spoken && !paths.empty() && (group_.status == 404 || text_.has("empty body"));
    if (!not_served) return;
    if (group_.status != 404) {
      say(fmt::format("CPA does nothing for this path: {}", list_of(paths)));
      return;
    }
    Names others = paths;
    const auto single = std::stable_partition(others.begin(), others.end(), [](const SeenList::Seen* path) {
      return path->shown.find("//") != std::string::npos || path->shown.find("/v1/v1") != std::string::npos ||
             path->shown.find("/v1/chat/completions/") != std::string::npos;
    });
    if (single != others.begin()) {
      const std::string sentence = fmt::format(
          "the path {} has a part twice: the client's own base URL is wrong", others.front()->shown);
      // It tells nothing about the group's other paths.
      if (single == others.end()) {
        decide(Confidence::high, sentence);
      } else {
        say(sentence);
      }
      others.erase(others.begin(), single);
    }
    if (!others.empty()) say(fmt::format("CPA has no such path: {}", list_of(others)));
  }

  // Clients that all give up after the same delay have a time-out of that length.
  void cancelled() {
    std::vector<std::uint32_t> durations = group_.durations_ms;
    if (durations.size() < 5) return;
    std::sort(durations.begin(), durations.end());
    const std::uint32_t middle = durations[durations.size() / 2];
    const std::uint32_t near = std::max<std::uint32_t>(middle / 20, 500);
    const auto alike = std::count_if(durations.begin(), durations.end(), [&](std::uint32_t ms) {
      return ms + near >= middle && ms <= middle + near;
    });
    if (middle < 2'000 || static_cast<std::size_t>(alike) * 5 < durations.size() * 4) return;
    decide(sure(),
           fmt::format(
               "{} of the last {} clients gave up after about {:.0f} s: a time-out of the client or of a "
               "proxy before Portico",
               alike, durations.size(), static_cast<double>(middle) / 1000));
  }

  void ending() {
    if (group_.timer != Timer::none) say(fmt::format("the timer that fired is {}", name_of(group_.timer)));
    if (group_.ended == Ended::backend_broke_off && group_.websocket) {
      say("CPA ends a WebSocket without a frame for faults of credentials, quota and transport alike");
    } else if (group_.ended == Ended::backend_broke_off) {
      say("the response ended without its last part");
    }
    const Names endpoints = group_.endpoints.since(view_.from_us);
    const bool own_network = group_.code == "upstream_unreachable" ||
                             group_.code == "upstream_bad_response" || group_.code == "upstream_timeout";
    if (own_network && !endpoints.empty())
      say(fmt::format("the backend's address is {}", list_of(endpoints)));
  }

  void symptom() {
    if (group_.speaker == Speaker::portico && !group_.own_answer) {
      // What went wrong is Portico's finding; a status, if there is one, had come from the backend.
      if (group_.status == 0) {
        say("Portico saw how it ended");
      } else if (group_.status == 499) {
        say("no answer had come before; it is counted as status 499");
      } else {
        say(fmt::format("status {}, said by {}; Portico saw how it ended", group_.status, backend()));
      }
      return;
    }
    const std::string status = group_.status == 0 ? "no status" : fmt::format("status {}", group_.status);
    say(group_.code.empty() ? fmt::format("{}, said by {}", status, speaker())
                            : fmt::format("{}, code {}, said by {}", status, group_.code, speaker()));
  }
  [[nodiscard]] std::string speaker() const {
    return group_.speaker == Speaker::portico ? "Portico" : backend();
  }
  [[nodiscard]] std::string backend() const {
    if (group_.owner == "cpa") return "CPA";
    return group_.owner.empty() ? "the backend" : group_.owner;
  }

  [[nodiscard]] std::string usual_reason() const {
    switch (evidence_.confidence) {
      case Confidence::high:
        return group_.speaker == Speaker::portico ? "Portico saw it itself"
                                                  : "the error says so in its own words or code";
      case Confidence::medium:
        return "the error fits, but another cause can give the same one";
      case Confidence::low:
        return "nothing in the answer tells the cause";
    }
    return {};
  }

  const GroupView& view_;
  const FailureGroup& group_;
  const History& history_;
  LoweredText text_;
  Evidence evidence_;
};

}  // namespace

Evidence evidence_of(const GroupView& view, const History& history) { return Gathering(view, history).run(); }

std::string list_of(const std::vector<const SeenList::Seen*>& names, std::size_t most) {
  std::string out;
  const std::size_t shown = std::min(names.size(), most);
  for (std::size_t i = 0; i < shown; ++i) {
    if (i > 0) out += i + 1 == names.size() ? " and " : ", ";
    out += names[i]->shown;
  }
  if (names.size() > shown) out += fmt::format(" and {} more", names.size() - shown);
  return out;
}

}  // namespace portico::telemetry
