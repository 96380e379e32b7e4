# SPDX-License-Identifier: Apache-2.0
# The house's words for CMake: r53fwd_room, r53fwd_program, r53fwd_test.

find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(LIBUV REQUIRED IMPORTED_TARGET libuv)
pkg_search_module(LDNS REQUIRED IMPORTED_TARGET ldns libldns)
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)
pkg_check_modules(SECCOMP REQUIRED IMPORTED_TARGET libseccomp)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(MICROHTTPD REQUIRED IMPORTED_TARGET libmicrohttpd)

# What every target is compiled with.
add_library(r53fwd_flags INTERFACE)
target_include_directories(r53fwd_flags INTERFACE ${CMAKE_SOURCE_DIR}/include)
target_compile_definitions(r53fwd_flags INTERFACE _GNU_SOURCE R53FWD_VERSION="${PROJECT_VERSION}")
target_compile_options(r53fwd_flags INTERFACE
  -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 -Wundef
  -fno-common -fstack-protector-strong $<$<CONFIG:Release>:-D_FORTIFY_SOURCE=2>)
target_link_libraries(r53fwd_flags INTERFACE Threads::Threads)
target_link_options(r53fwd_flags INTERFACE -Wl,-z,relro,-z,now -Wl,--as-needed)
if(R53FWD_WERROR)
  target_compile_options(r53fwd_flags INTERFACE -Werror)
endif()
if(R53FWD_SANITIZE)
  target_compile_options(r53fwd_flags INTERFACE -fsanitize=${R53FWD_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(r53fwd_flags INTERFACE -fsanitize=${R53FWD_SANITIZE})
endif()
# What a kind of build has put into the program needs holes in its sandbox: src/sys/sandbox_holes_*.c.
set(R53FWD_HOLES none)
if(R53FWD_SANITIZE OR R53FWD_FUZZ_ENGINE)
  set(R53FWD_HOLES sanitizer)
elseif(CMAKE_C_FLAGS_DEBUG MATCHES "--coverage" AND CMAKE_BUILD_TYPE STREQUAL "Debug")
  set(R53FWD_HOLES coverage)
endif()
if(R53FWD_FUZZ)
  target_compile_options(r53fwd_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

# r53fwd_room(NAME UNITS a b … [ROOMS lower …] [LIBRARIES …]): a static library of src/NAME/*.c that may see only the
# rooms below it.
function(r53fwd_room name)
  cmake_parse_arguments(ROOM "" "" "UNITS;ROOMS;LIBRARIES" ${ARGN})
  list(TRANSFORM ROOM_UNITS PREPEND ${CMAKE_SOURCE_DIR}/src/${name}/)
  list(TRANSFORM ROOM_UNITS APPEND .c)
  add_library(${name} STATIC ${ROOM_UNITS})
  target_link_libraries(${name} PUBLIC r53fwd_flags ${ROOM_ROOMS} PRIVATE ${ROOM_LIBRARIES})
endfunction()

# r53fwd_program(NAME SOURCES a.c … ROOMS …): an executable at the top of the build folder.
function(r53fwd_program name)
  cmake_parse_arguments(PROGRAM "" "" "SOURCES;ROOMS" ${ARGN})
  add_executable(${name} ${PROGRAM_SOURCES})
  target_link_libraries(${name} PRIVATE ${PROGRAM_ROOMS})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
endfunction()

# r53fwd_test(ROOM UNIT [LIBRARIES …]): tests/ROOM/test_UNIT.c, linked with that room and what lies below it, nothing above.
function(r53fwd_test room unit)
  cmake_parse_arguments(TEST "" "" "LIBRARIES;SOURCES" ${ARGN})
  add_executable(test_${room}_${unit} ${room}/test_${unit}.c ${TEST_SOURCES})
  target_include_directories(test_${room}_${unit} PRIVATE ${CMAKE_SOURCE_DIR}/tests/lib)
  target_link_libraries(test_${room}_${unit} PRIVATE ${room} PkgConfig::CMOCKA ${TEST_LIBRARIES})
  add_test(NAME ${room}/${unit} COMMAND test_${room}_${unit})
  set_tests_properties(${room}/${unit} PROPERTIES TIMEOUT 300)
endfunction()
