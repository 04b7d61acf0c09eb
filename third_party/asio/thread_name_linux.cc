#include <pthread.h>

#include "third_party/asio/thread_name.h"

namespace weighmaster::asio {

void NameThisThread(const std::string& name) {
  constexpr std::size_t kLongestName = 15;
  pthread_setname_np(pthread_self(), name.substr(0, kLongestName).c_str());
}

}  // namespace weighmaster::asio
