#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "agent/formats/grammars/protobuf_probe.h"
#include "agent/formats/grammars/protobuf_wire.h"
#include "agent/formats/reading/cursor.h"
#include "agent/formats/reading/risks.h"
#include "policy/model/artifact.h"

namespace weighmaster::agent::formats {

// Whether the first fields of a message are those of a GraphDef, up to its first node, whose name
// and operator are ones that TensorFlow takes.
bool LooksLikeGraphDef(ProtobufProbe probe);

// What was found of tensors: how many, their elements, and of which types. Texts and handles are
// none.
class GraphTensors {
 public:
  // `data_type` is a number of TensorFlow's DataType.
  void Add(std::uint64_t data_type, std::uint64_t elements);
  // That some tensor's extents are not known.
  void AddUncounted() { counted_ = false; }

  bool empty() const { return tensors_ == 0; }
  std::uint64_t elements() const { return elements_; }
  void Tell(model::Facts& facts) const;

 private:
  std::uint64_t tensors_ = 0;
  std::uint64_t elements_ = 0;
  bool counted_ = true;
  std::map<std::string_view, std::uint64_t> elements_by_type_;
};

// What a meta graph says around its graph.
struct GraphSurroundings {
  // Below which the saver's nodes lie: "save/"; empty when it is not said.
  std::string saver_scope;
  // Tables are filled from files that the model brings along.
  bool has_assets = false;
};

// Walks TensorFlow GraphDefs: their nodes and those of the functions of their libraries. Looks for
// operators that run code or reach files, and counts constants and variables. Cursor and list of
// risks must outlive it. What is found adds up over all that it reads.
// https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/framework/graph.proto,
// function.proto, node_def.proto, attr_value.proto, tensor.proto, types.proto beside it; the
// operators are those that TensorFlow registers itself (tensorflow/core/ops for the most part).
class GraphDefReader {
 public:
  GraphDefReader(Cursor& cursor, RiskList& risks) : cursor_(cursor), risks_(risks) {}

  // False when the message has a top-level field that a GraphDef has not; it is read to its end all
  // the same.
  bool Read(std::uint64_t begin, std::uint64_t end, const GraphSurroundings& around);

  std::uint64_t nodes() const { return nodes_; }
  // Whether some node is of an operator that hardly a graph does without.
  bool has_common_operator() const { return has_common_operator_; }
  const GraphTensors& constants() const { return constants_; }
  const GraphTensors& variables() const { return variables_; }

 private:
  struct Node {
    std::string name;
    std::string operation;
  };
  // Of a tensor, or of the variable that will hold one.
  struct TensorShape {
    std::uint64_t data_type = 0;
    std::uint64_t elements = 1;
    bool known = true;
  };

  void ReadLibrary(const WireField& library);
  void ReadFunction(const WireField& function);
  void ReadNode(const WireField& field);
  void ReadConstant(const WireField& field);
  void ReadVariable(const WireField& field);
  void ReadShape(const WireField& shape, TensorShape& tensor);
  void LookAtOperator(const Node& node, const WireField& field);
  void LookAtAttribute(const Node& node, const WireField& field);
  bool IsOfSaver(const Node& node) const;
  void AddRisk(RiskId id, const Node& node, model::Severity severity);

  // The value of an attribute; nothing when the node has none of that name.
  std::optional<WireField> Attribute(const WireField& node, std::string_view name);
  std::string Text(const WireField& field, std::size_t keep);
  WireMessage Fields(const WireField& field);
  void CheckEnd(const WireMessage& message);

  Cursor& cursor_;
  RiskList& risks_;
  GraphSurroundings around_;
  std::string function_;  // the nodes that are read belong to; empty: to the graph itself
  std::uint64_t nodes_ = 0;
  bool has_common_operator_ = false;
  GraphTensors constants_;
  GraphTensors variables_;
};

}  // namespace weighmaster::agent::formats
