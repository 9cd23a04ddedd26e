// Completions of work on a GPU stream: a thread that sleeps until an event has happened and then
// acts, in the order in which completions were handed over. Neither the JS thread nor the worker
// that launches waits for the GPU.
#pragma once
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "cuda/runtime.h"

namespace callgrad::gpu {

class Reaper {
 public:
  // Gets the status of waiting for the event.
  using Action = std::function<void(const Status&)>;

  Reaper(Runtime& runtime, int device);
  ~Reaper();  // acts on everything that was handed over
  Reaper(const Reaper&) = delete;
  Reaper& operator=(const Reaper&) = delete;

  // Acts when all work that is now on the stream has been done; with a failed `before`, or where no
  // event can be had, in its turn and with that status.
  void after(StreamHandle stream, const Status& before, Action action);
  void drain();  // waits until all that was handed over has been acted on

 private:
  struct Item {
    EventHandle event;  // null: only the order counts
    Status status;
    Action action;
  };
  Status takeEvent(EventHandle* event);
  void loop();

  Runtime& runtime_;
  const int device_;
  std::mutex mutex_;
  std::condition_variable wake_, idle_;
  std::deque<Item> queue_;
  std::vector<EventHandle> free_;
  bool busy_ = false, closing_ = false;
  std::thread thread_;
};

}  // namespace callgrad::gpu
