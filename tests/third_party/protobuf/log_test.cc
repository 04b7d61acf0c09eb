#include "third_party/protobuf/log.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>

#include "tests/support/temp_folder.h"
#include "third_party/spdlog/log.h"
#include "weighmaster/v1/admin.pb.h"

namespace weighmaster::protobuf_adapter {
namespace {

// `filter`, of bytes that are no text.
constexpr const char* kNoUtf8 = "\x1a\x04\xff\xfe\xfd\xfc";

class ProtobufLog : public testing::Test {
 protected:
  ~ProtobufLog() override { EXPECT_TRUE(logging::SetUp({}).has_value()); }

  // What is logged from this level up, and written to standard error, when somebody sends that.
  std::string LogAt(logging::Level level) {
    logging::Options options;
    options.level = level;
    options.file = folder_ / "log";
    EXPECT_TRUE(logging::SetUp(options).has_value());
    TakeOverLog();
    testing::internal::CaptureStderr();
    EXPECT_FALSE(v1::ListEndpointsRequest().ParseFromString(kNoUtf8));
    std::ostringstream text;
    text << std::ifstream(options.file).rdbuf() << testing::internal::GetCapturedStderr();
    return text.str();
  }

  const tests::TempFolder folder_;
};

TEST_F(ProtobufLog, IsPartOfOursForWhoLooksClosely) {
  const std::string log = LogAt(logging::Level::kDebug);
  EXPECT_NE(log.find("debug protobuf: "), std::string::npos) << log;
  EXPECT_EQ(log.find("libprotobuf"), std::string::npos) << log;
}

TEST_F(ProtobufLog, SaysNothingToAnybodyElse) { EXPECT_EQ(LogAt(logging::Level::kInfo), ""); }

}  // namespace
}  // namespace weighmaster::protobuf_adapter
