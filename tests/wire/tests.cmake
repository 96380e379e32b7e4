# SPDX-License-Identifier: Apache-2.0
# ldns is the oracle: what it writes we must read, and what we accept it must read alike.
foreach(unit name text edns question question_oracle frame answer answer_trim answer_spell answer_oracle reply)
  if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/wire/test_${unit}.c)
    r53fwd_test(wire ${unit} LIBRARIES PkgConfig::LDNS)
  endif()
endforeach()

# The fuzz targets are of this room so far.
include(${CMAKE_CURRENT_SOURCE_DIR}/fuzz/fuzz.cmake)
