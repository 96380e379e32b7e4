# SPDX-License-Identifier: Apache-2.0
# The house's rules over the whole tree, and the rules' own tests.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
add_test(NAME lint COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/lint/lint.py --root ${CMAKE_SOURCE_DIR} --report)
add_test(NAME lint/rules COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/lint/test_lint.py)
add_test(NAME lint/coverage COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/lint/test_rooms.py)
set_tests_properties(lint lint/rules lint/coverage PROPERTIES LABELS lint TIMEOUT 60 ENVIRONMENT PYTHONDONTWRITEBYTECODE=1)
