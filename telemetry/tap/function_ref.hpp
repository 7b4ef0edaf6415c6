#pragma once
// A callable by reference: what a parser hands its output to.
//
// owns:    nothing; the callable must outlive the call it is passed to. Only for parameters, never a member.
// threads: those of the callable

#include <memory>
#include <type_traits>
#include <utility>

namespace portico::telemetry {

template <class Signature>
class FunctionRef;

/// Two words, no allocation, one indirect call.
template <class Result, class... Args>
class FunctionRef<Result(Args...)> {
 public:
  template <class F>
    requires(!std::is_same_v<std::remove_cvref_t<F>, FunctionRef> &&
             std::is_invocable_r_v<Result, F&, Args...>)
  // NOLINTNEXTLINE(bugprone-forwarding-reference-overload): the constraint leaves copies alone
  FunctionRef(F&& callable) noexcept
      : object_(const_cast<void*>(static_cast<const void*>(std::addressof(callable)))),
        call_([](void* object, Args... args) -> Result {
          return (*static_cast<std::remove_reference_t<F>*>(object))(std::forward<Args>(args)...);
        }) {}

  Result operator()(Args... args) const { return call_(object_, std::forward<Args>(args)...); }

 private:
  void* object_;
  Result (*call_)(void*, Args...);
};

}  // namespace portico::telemetry
