# One room is one folder, one namespace, one static library and one alias:
#
#   weighmaster_room(agent_journal SOURCES journal.cc DEPENDS weighmaster::base)
#
# makes weighmaster_agent_journal and weighmaster::agent_journal. Sources are listed, never globbed.
function(weighmaster_room name)
  cmake_parse_arguments(ROOM "" "" "SOURCES;DEPENDS" ${ARGN})
  add_library(weighmaster_${name} STATIC ${ROOM_SOURCES})
  add_library(weighmaster::${name} ALIAS weighmaster_${name})
  target_include_directories(weighmaster_${name} PUBLIC ${CMAKE_SOURCE_DIR})
  target_link_libraries(weighmaster_${name} PUBLIC ${ROOM_DEPENDS} PRIVATE weighmaster::options)
endfunction()

#   weighmaster_test(agent_journal SOURCES journal_test.cc DEPENDS weighmaster::agent_journal)
#
# makes the test program weighmaster_agent_journal_test and gives each TEST in it to ctest. LABELS
# choose when it runs: "unit" (the default), "integration", "sim", "e2e", "fuzz".
function(weighmaster_test name)
  cmake_parse_arguments(TEST "" "LABEL;TIMEOUT" "SOURCES;DEPENDS" ${ARGN})
  if(NOT TEST_LABEL)
    set(TEST_LABEL unit)
  endif()
  if(NOT TEST_TIMEOUT)
    set(TEST_TIMEOUT 120)
  endif()
  set(target weighmaster_${name}_test)
  add_executable(${target} ${TEST_SOURCES})
  target_link_libraries(${target} PRIVATE ${TEST_DEPENDS} third_party::gtest_main weighmaster::options)
  target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR})
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  add_test(NAME ${name} COMMAND ${target})
  set_tests_properties(${name} PROPERTIES LABELS ${TEST_LABEL} TIMEOUT ${TEST_TIMEOUT})
endfunction()

#   weighmaster_fuzzer(gguf weighmaster::agent_formats)
#
# makes weighmaster_gguf_fuzzer of gguf_fuzzer.cc and what follows the name. With WEIGHMASTER_FUZZ it
# is a libFuzzer program; otherwise the same entry point replays corpus/gguf as an ordinary test.
function(weighmaster_fuzzer name)
  set(target weighmaster_${name}_fuzzer)
  add_executable(${target} ${name}_fuzzer.cc)
  target_link_libraries(${target} PRIVATE ${ARGN} weighmaster::options)
  target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR})
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  if(WEIGHMASTER_FUZZ)
    target_link_options(${target} PRIVATE -fsanitize=fuzzer)
  else()
    target_sources(${target} PRIVATE ${CMAKE_SOURCE_DIR}/tests/fuzz/replay_main.cc)
    add_test(NAME fuzz_${name} COMMAND ${target} ${CMAKE_CURRENT_SOURCE_DIR}/corpus/${name})
    set_tests_properties(fuzz_${name} PROPERTIES LABELS fuzz TIMEOUT 120)
  endif()
endfunction()
