# SPDX-License-Identifier: Apache-2.0
# r53fwd_fuzz(NAME LIBRARIES … [SOURCES …]): tests/fuzz/fuzz_NAME.c in two programs. replay_NAME runs it over the files of
# tests/fuzz/corpus/NAME and belongs to the ordinary suite; fuzz_NAME searches with libFuzzer:
#
#   CC=clang cmake -B build-fuzz -DR53FWD_FUZZ=ON -DR53FWD_SANITIZE=address,undefined
#   build-fuzz/tests/fuzz_NAME -max_total_time=30 FINDINGS tests/fuzz/corpus/NAME
#
# A sanitizer has to be on: its runtime also answers the coverage calls in programs that are not linked with libFuzzer.
function(r53fwd_fuzz name)
  cmake_parse_arguments(FUZZ "" "" "LIBRARIES;SOURCES" ${ARGN})
  set(folder ${CMAKE_SOURCE_DIR}/tests/fuzz)
  add_executable(replay_${name} ${folder}/fuzz_${name}.c ${folder}/replay.c ${FUZZ_SOURCES})
  target_link_libraries(replay_${name} PRIVATE ${FUZZ_LIBRARIES} r53fwd_flags)
  add_test(NAME fuzz/${name} COMMAND replay_${name} ${folder}/corpus/${name})
  set_tests_properties(fuzz/${name} PROPERTIES TIMEOUT 300)
  if(R53FWD_FUZZ OR R53FWD_FUZZ_ENGINE)
    add_executable(fuzz_${name} ${folder}/fuzz_${name}.c ${FUZZ_SOURCES})
    target_link_libraries(fuzz_${name} PRIVATE ${FUZZ_LIBRARIES} r53fwd_flags)
    # OSS-Fuzz brings its engine, which is C++: oss-fuzz-build.sh.
    if(R53FWD_FUZZ_ENGINE)
      target_link_libraries(fuzz_${name} PRIVATE ${R53FWD_FUZZ_ENGINE})
      set_target_properties(fuzz_${name} PROPERTIES LINKER_LANGUAGE CXX)
    else()
      target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
    endif()
  endif()
endfunction()

if(R53FWD_FUZZ_ENGINE)
  enable_language(CXX)
endif()

foreach(name name question frame answer)
  if(EXISTS ${CMAKE_CURRENT_LIST_DIR}/fuzz_${name}.c)
    r53fwd_fuzz(${name} LIBRARIES wire PkgConfig::LDNS)
  endif()
endforeach()

r53fwd_fuzz(config LIBRARIES config)
r53fwd_fuzz(persist LIBRARIES server)
r53fwd_fuzz(import LIBRARIES cli)
r53fwd_fuzz(resolv LIBRARIES config)
r53fwd_fuzz(bridge LIBRARIES net)
r53fwd_fuzz(keeper LIBRARIES server)
r53fwd_fuzz(fault LIBRARIES sim)
r53fwd_fuzz(page LIBRARIES http PkgConfig::JANSSON)
r53fwd_fuzz(control LIBRARIES server PkgConfig::JANSSON SOURCES ${WORLD})
r53fwd_fuzz(forward LIBRARIES server
  SOURCES ${WORLD} ${CMAKE_CURRENT_LIST_DIR}/../lib/chaos.c)
# Which way the stage went says nothing of the play, and its loops would be half of the work.
if(R53FWD_FUZZ OR R53FWD_FUZZ_ENGINE)
  set_source_files_properties(${WORLD} ${CMAKE_CURRENT_LIST_DIR}/../lib/chaos.c
    PROPERTIES COMPILE_OPTIONS -fno-sanitize=fuzzer-no-link)
endif()
