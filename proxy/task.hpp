#pragma once
// Coroutines of the data plane: a lazily started Task that its parent awaits, a Detached root that owns
// itself, and a Fork that runs a Task beside its parent until joined.
//
// owns:    a Task owns its frame; a Detached frame ends itself; a Fork owns the frame of its Task
// threads: one worker; nothing here is synchronised
// errors:  an exception inside a Task comes out at its co_await; out of a Detached it ends the process, so
// every
//          root catches what it may meet
//
// asio::awaitable is not used here because each of its awaits costs an extra frame and a hop through the
// executor; a resumption here is one indirect call.

#include <coroutine>
#include <exception>
#include <optional>
#include <utility>

#include "proxy/frame_pool.hpp"

namespace portico::proxy {

template <class T>
class Task;

namespace detail {

struct FinalAwaiter {
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <class Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> self) const noexcept {
    return self.promise().continuation;
  }
  void await_resume() const noexcept {}
};

struct TaskPromiseBase : PooledFrame {
  std::coroutine_handle<> continuation = std::noop_coroutine();
  std::exception_ptr exception;
  std::suspend_always initial_suspend() noexcept { return {}; }
  FinalAwaiter final_suspend() noexcept { return {}; }
  void unhandled_exception() noexcept { exception = std::current_exception(); }
};

template <class T>
struct TaskPromise : TaskPromiseBase {
  std::optional<T> value;
  Task<T> get_return_object() noexcept;
  void return_value(T v) { value.emplace(std::move(v)); }
  T take() {
    if (exception) std::rethrow_exception(exception);
    return std::move(*value);
  }
};

template <>
struct TaskPromise<void> : TaskPromiseBase {
  Task<void> get_return_object() noexcept;
  void return_void() noexcept {}
  void take() const {
    if (exception) std::rethrow_exception(exception);
  }
};

}  // namespace detail

/// A coroutine that starts when it is awaited and resumes its awaiter when it ends.
template <class T>
class [[nodiscard]] Task {
 public:
  using promise_type = detail::TaskPromise<T>;
  using Handle = std::coroutine_handle<promise_type>;

  explicit Task(Handle handle) noexcept : handle_(handle) {}
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&&) = delete;
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  ~Task() {
    if (handle_) handle_.destroy();
  }

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> parent) noexcept {
    handle_.promise().continuation = parent;
    return handle_;
  }
  T await_resume() { return handle_.promise().take(); }

 private:
  Handle handle_;
};

namespace detail {
template <class T>
Task<T> TaskPromise<T>::get_return_object() noexcept {
  return Task<T>(std::coroutine_handle<TaskPromise>::from_promise(*this));
}
inline Task<void> TaskPromise<void>::get_return_object() noexcept {
  return Task<void>(std::coroutine_handle<TaskPromise>::from_promise(*this));
}
}  // namespace detail

/// A root: starts at once and frees its own frame when it ends.
struct Detached {
  struct promise_type : PooledFrame {
    Detached get_return_object() noexcept { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { std::terminate(); }
  };
};

/// Runs a Task beside the coroutine that owns the Fork. join() must have completed before the Fork ends.
class Fork {
 public:
  Fork() = default;
  Fork(const Fork&) = delete;
  Fork& operator=(const Fork&) = delete;

  /// Starts `task`, up to its first suspension. Not while another is running.
  void start(Task<void> task) {
    running_ = true;
    drive(*this, std::move(task));
  }
  [[nodiscard]] bool running() const noexcept { return running_; }

  /// Awaitable: resumes once nothing is running. An exception of the task comes out here.
  auto join() noexcept {
    struct Awaiter {
      Fork& fork;
      [[nodiscard]] bool await_ready() const noexcept { return !fork.running_; }
      void await_suspend(std::coroutine_handle<> waiter) const noexcept { fork.joiner_ = waiter; }
      void await_resume() const {
        if (const std::exception_ptr e = std::exchange(fork.exception_, nullptr)) std::rethrow_exception(e);
      }
    };
    return Awaiter{*this};
  }

 private:
  static Detached drive(Fork& fork, Task<void> task) {
    try {
      co_await task;
    } catch (...) {
      fork.exception_ = std::current_exception();
    }
    fork.running_ = false;
    if (std::coroutine_handle<> joiner = std::exchange(fork.joiner_, nullptr)) joiner.resume();
  }

  std::coroutine_handle<> joiner_;
  std::exception_ptr exception_;
  bool running_ = false;
};

}  // namespace portico::proxy
