# SPDX-License-Identifier: Apache-2.0
# The limit that ./dev bench measures against. Not a test: nothing here asserts a time.
add_executable(bench_reflector ${CMAKE_CURRENT_SOURCE_DIR}/bench/reflector.c)
target_link_libraries(bench_reflector PRIVATE base)
