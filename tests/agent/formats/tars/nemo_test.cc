#include "agent/formats/tars/nemo.h"

#include <gtest/gtest.h>

#include "agent/formats/tars/tar_package.h"
#include "tests/agent/formats/parsed.h"
#include "tests/agent/formats/tar_file.h"
#include "tests/support/model_files.h"

namespace weighmaster::agent::formats {
namespace {

using model::Format;
using model::Severity;
using tests::ByteWriter;

constexpr char kNames[] = "config_names_code";
const std::string kWeights =
    "\x80\x02"
    "ccollections\nOrderedDict\n)R.";
const std::string kConfig =
    "name: tiny\n"
    "target: nemo.collections.asr.models.ctc_bpe_models.EncDecCTCModelBPE\n"
    "preprocessor:\n"
    "  _target_: nemo.collections.asr.modules.AudioToMelSpectrogramPreprocessor\n"
    "optim: {_target_: torch.optim.AdamW, lr: 0.1}\n"
    "scheduler: {name: CosineAnnealing, target: 3}\n"
    "nemo_version: 1.20.0\n";

model::Facts Read(const base::Bytes& bytes) {
  MemorySource source(bytes);
  WorkBudget budget;
  TensorMapWriter tensors(true);
  return ParseTar(source, budget, tensors);
}

bool Looks(const base::Bytes& bytes) {
  return LooksLikeNemo(
      {base::ByteView(bytes).first(std::min<std::size_t>(bytes.size(), 4'096)), {}, bytes.size()});
}

base::Bytes Archive(const std::string& config, const std::string& weights = kWeights) {
  return TarFile()
      .Add("./", "", '5')
      .Add("./model_config.yaml", config)
      .Add("./model_weights.ckpt", weights)
      .Take();
}

// gzip without packing: stored blocks, of which each holds at most 65,535 bytes. Of a long content
// nobody comes to the checksum.
base::Bytes Gzip(const base::Bytes& content) {
  ByteWriter out;
  out.U8(0x1f).U8(0x8b).U8(8).U8(8).U32(1'600'000'000).U8(2).U8(255).Text("model.nemo").U8(0);
  std::uint32_t checksum = 0xffffffff;
  for (const std::uint8_t byte : content.size() < 1'000'000 ? content : base::Bytes()) {
    checksum ^= byte;
    for (int i = 0; i < 8; ++i) checksum = (checksum >> 1) ^ (checksum & 1 ? 0xedb88320U : 0U);
  }
  for (std::size_t at = 0; at < content.size(); at += 65'535) {
    const std::size_t count = std::min<std::size_t>(65'535, content.size() - at);
    const auto length = static_cast<std::uint16_t>(count);
    out.U8(at + count == content.size() ? 1 : 0)
        .U16(length)
        .U16(static_cast<std::uint16_t>(~length));
    out.Text(base::AsText(base::ByteView(content).subspan(at, count)));
  }
  return out.U32(~checksum).U32(static_cast<std::uint32_t>(content.size())).Take();
}

TEST(Nemo, RaisesNothingForAnOrdinaryArchive) {
  for (const base::Bytes& bytes : {Archive(kConfig), Gzip(Archive(kConfig))}) {
    ASSERT_TRUE(Looks(bytes));
    const model::Facts facts = Read(bytes);
    EXPECT_EQ(facts.format, Format::kNemo);
    EXPECT_EQ(facts.name, "tiny");
    EXPECT_EQ(facts.architecture, "EncDecCTCModelBPE");
    EXPECT_EQ(WorstSeverity(facts), Severity::kInfo) << facts.risks.front().evidence;
    EXPECT_TRUE(HasRisk(facts, "pickle_format", Severity::kInfo));
  }
}

TEST(Nemo, LooksIntoTheCheckpointInside) {
  const std::string runs =
      "\x80\x02"
      "cos\nsystem\nU\x02id\x85R.";
  model::Facts facts = Read(Archive(kConfig, runs));
  ASSERT_TRUE(HasRisk(facts, "pickle_executes_code", Severity::kCritical));
  EXPECT_EQ(FindRisk(facts, "pickle_executes_code")->evidence.rfind("./model_weights.ckpt: os.", 0),
            0U);
  const std::string ordinary(base::AsText(tests::ModelFixture("state_dict.pt")));
  facts = Read(Archive(kConfig, ordinary));
  EXPECT_EQ(facts.format, Format::kNemo);
  EXPECT_EQ(facts.parameters, 72U);
  EXPECT_EQ(facts.tensor_count, 2U);
  EXPECT_EQ(facts.quantization, "F16");
  EXPECT_EQ(WorstSeverity(facts), Severity::kInfo) << facts.risks.front().evidence;
  facts = Read(Archive(kConfig, std::string(base::AsText(tests::ModelFixture("executes.pt")))));
  EXPECT_TRUE(HasRisk(facts, "pickle_executes_code", Severity::kCritical));
}

// CVE-2025-23304.
TEST(Nemo, TellsOfCodeThatItsConfigurationNames) {
  const struct {
    const char* config;
    Severity severity;
  } configs[] = {
      {"_target_: os.system", Severity::kCritical},
      {"a: {b: [{_target_: subprocess.Popen, args: x}]}", Severity::kCritical},
      {"\"_t\\x61rget_\": builtins.exec", Severity::kCritical},
      {"'_target_': 'builtins.eval'", Severity::kCritical},
      {"a:\n  _target_: >-\n    torch.load", Severity::kCritical},
      {"a:\n  _target_: torch.hub.load", Severity::kCritical},
      // What another module has imported.
      {"_target_: nemo.utils.exp_manager.os.system", Severity::kCritical},
      {"_target_: torch.nn.modules.subprocess.Popen", Severity::kCritical},
      {"target: posix.system", Severity::kCritical},
      {"a:\n  cls: os.popen", Severity::kCritical},
      {"_target_: shutil.rmtree", Severity::kHigh},
      {"_target_: ${oc.env:HOME}", Severity::kHigh},
      {"_target_: *somewhere", Severity::kHigh},
      {"_target_: my_package.Model", Severity::kMedium},
      {"target: my_package.Model", Severity::kMedium},
  };
  for (const auto& [config, severity] : configs) {
    const model::Facts facts = Read(Archive(config));
    EXPECT_EQ(facts.format, Format::kNemo);
    EXPECT_TRUE(HasRisk(facts, kNames, severity)) << config;
  }
}

TEST(Nemo, TellsOfNothingThatConfigurationsOrdinarilyName) {
  for (const char* config :
       {"_target_: nemo.collections.tts.modules.fastpitch.FastPitchModule",
        "_target_: torch.nn.CrossEntropyLoss", "_target_: pytorch_lightning.loggers.WandbLogger",
        "_target_: lightning.pytorch.callbacks.ModelCheckpoint", "_target_: nemo_text_processing.X",
        "_target_: transformers.AutoModel", "_target_: megatron.core.optimizer.OptimizerConfig",
        "_target_: omegaconf.DictConfig", "a:\n  target: data.json", "a:\n  target: en",
        "a:\n  cls: 4.5", "_target_: null", "# _target_: os.system", "text: '_target_: os.system'",
        "_target_: collections.OrderedDict"}) {
    const model::Facts facts = Read(Archive(config));
    EXPECT_EQ(facts.format, Format::kNemo);
    EXPECT_EQ(FindRisk(facts, kNames), nullptr) << config;
  }
}

TEST(Nemo, ReadsEveryConfigurationInIt) {
  const base::Bytes bytes = TarFile()
                                .Add("model_config.yaml", kConfig)
                                .Add("part/other.yml", "_target_: os.system")
                                .Take();
  const model::Facts facts = Read(bytes);
  ASSERT_TRUE(HasRisk(facts, kNames, Severity::kCritical));
  EXPECT_EQ(FindRisk(facts, kNames)->evidence,
            "part/other.yml: _target_ names os.system at offset 0x0");
  // The one that is unpacked last stands in the other's place.
  EXPECT_TRUE(HasRisk(Read(TarFile()
                               .Add("model_config.yaml", "_target_: os.system")
                               .Add("./model_config.yaml", kConfig)
                               .Take()),
                      kNames, Severity::kCritical));
}

TEST(Nemo, TellsWhatIsWrongWithTheArchive) {
  TarFile tar;
  tar.Add("model_config.yaml", kConfig).Add("../x", "").Add("./model_config.yaml", kConfig);
  tar.Add("to", "", '2', "/etc/cron.d");
  const model::Facts facts = Read(tar.Take());
  EXPECT_TRUE(HasRisk(facts, "archive_path_escapes", Severity::kHigh));
  EXPECT_TRUE(HasRisk(facts, "malformed", Severity::kHigh));
  base::Bytes cut = Archive(kConfig, std::string(5'000, 'w'));
  cut.resize(4'096);
  EXPECT_TRUE(HasRisk(Read(cut), "malformed", Severity::kHigh));
  const model::Facts link = Read(TarFile()
                                     .Add("model_config.yaml", "", '2', "other")
                                     .Add("model_weights.ckpt", kWeights)
                                     .Take());
  EXPECT_TRUE(HasRisk(link, "opaque", Severity::kHigh));
}

TEST(Nemo, IsNoOtherArchive) {
  for (const base::Bytes& bytes :
       {TarFile().Add("repositories", "{}").Add("layer.tar", "x").Take(),
        TarFile().Add("etc/", "", '5').Add("etc/passwd", "root:x:0:0").Take(),
        TarFile().Add("model_config.yaml", "layers: 3\ntarget: en\n").Add("train.py", "").Take(),
        TarFile().Add("src/model_config.yaml", kConfig).Take(),
        TarFile().Add("weights.pt", kWeights).Take(), Gzip(TarFile().Add("a", "b").Take()),
        Gzip(base::Bytes(2'000, 'x'))}) {
    EXPECT_EQ(Read(bytes).format, Format::kUnknown);
  }
  EXPECT_FALSE(Looks(Gzip(base::Bytes(2'000, 'x'))));
  EXPECT_FALSE(Looks(base::Bytes(2'000, 'x')));
}

// Weights that end behind what is inflated: they are told to be so, and not to be damaged.
TEST(Nemo, SaysHowFarACompressedArchiveWasRead) {
  const base::Bytes bytes =
      Gzip(Archive(kConfig, kWeights + std::string(base::limits::kMaxInflatedBytes, '\0')));
  const model::Facts facts = Read(bytes);
  EXPECT_EQ(facts.format, Format::kNemo);
  EXPECT_TRUE(HasRisk(facts, "opaque", Severity::kHigh));
  EXPECT_EQ(FindRisk(facts, "malformed"), nullptr);
}

TEST(Nemo, EndsWithinItsBudget) {
  const std::string config = kConfig + std::string(3'000'000, '[');
  const base::Bytes bytes = Archive(config);
  MemorySource source(bytes);
  WorkBudget budget(20'000'000);
  TensorMapWriter tensors(true);
  EXPECT_TRUE(HasRisk(ParseTar(source, budget, tensors), "opaque", Severity::kHigh));
}

}  // namespace
}  // namespace weighmaster::agent::formats
