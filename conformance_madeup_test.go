package fallback_test

import (
	"reflect"
	"time"

	"github.com/redis/go-redis/v9"
)

// unknownTo7 are the methods whose commands a Redis 7.0 without modules does not know: it looks at no
// argument before it says so, and they are made up.
const unknownTo7 = `
	ARCount ARDel ARDelRange ARGet ARGetRange ARGrep ARGrepWithValues ARInfo ARInfoFull ARInsert ARLastItems
	ARLen ARMGet ARMSet ARNext AROpAnd AROpMatch AROpMax AROpMin AROpOr AROpSum AROpUsed AROpXor ARRing ARScan
	ARSeek ARSet
	BFCard BFExists BFInfo BFInfoArg BFInfoCapacity BFInfoExpansion BFInfoFilters BFInfoItems BFInfoSize
	BFInsert BFLoadChunk BFMAdd BFMExists BFReserve BFReserveExpansion BFReserveNonScaling BFReserveWithArgs
	BFScanDump
	CFAdd CFAddNX CFCount CFDel CFExists CFInfo CFInsert CFInsertNX CFLoadChunk CFMExists CFReserve
	CFReserveBucketSize CFReserveExpansion CFReserveMaxIterations CFReserveWithArgs CFScanDump
	CMSIncrBy CMSInfo CMSInitByDim CMSInitByProb CMSMerge CMSMergeWithWeight CMSQuery
	FTAggregate FTAggregateWithArgs FTAliasAdd FTAliasDel FTAliasList FTAliasUpdate FTAlter FTConfigGet
	FTConfigSet FTCursorDel FTCursorRead FTDictAdd FTDictDel FTDictDump FTDropIndex FTDropIndexWithArgs
	FTExplain FTExplainWithArgs FTHybrid FTHybridWithArgs FTInfo FTSearchWithArgs FTSpellCheck
	FTSpellCheckWithArgs FTSynDump FTSynUpdate FTSynUpdateWithArgs FTTagVals FT_List
	JSONArrAppend JSONArrIndex JSONArrIndexWithArgs JSONArrInsert JSONArrLen JSONArrPop JSONArrTrim
	JSONArrTrimWithArgs JSONClear JSONDebugMemory JSONDel JSONForget JSONGetWithArgs JSONMSet JSONMSetArgs
	JSONMerge JSONObjKeys JSONObjLen JSONStrAppend JSONStrLen JSONToggle JSONType
	TDigestAdd TDigestByRank TDigestByRevRank TDigestCDF TDigestCreate TDigestCreateWithCompression TDigestInfo
	TDigestMax TDigestMerge TDigestMin TDigestQuantile TDigestRank TDigestReset TDigestRevRank
	TDigestTrimmedMean
	TSAddWithArgs TSAlter TSCreate TSCreateRule TSCreateRuleWithArgs TSCreateWithArgs TSDecrBy TSDecrByWithArgs
	TSDel TSDeleteRule TSGet TSGetWithArgs TSIncrBy TSIncrByWithArgs TSInfo TSInfoWithArgs TSMAdd TSNRange
	TSNRangeWithArgs TSNRevRange TSNRevRangeWithArgs TSQueryIndex TSQueryLabelValues TSQueryLabels TSRange
	TSRangeWithArgs TSRead TSReadWithArgs TSRevRange TSRevRangeWithArgs
	TopKAdd TopKCount TopKIncrBy TopKInfo TopKList TopKListWithCount TopKQuery TopKReserve
	TopKReserveWithOptions
	VAddWithArgs VCard VClearAttributes VDim VEmb VGetAttr VInfo VIsMember VLinks VLinksWithScores VRandMember
	VRandMemberCount VRange VRem VSetAttr VSimWithArgs VSimWithArgsWithAttribs VSimWithArgsWithScores
	VSimWithArgsWithScoresWithAttribs VSimWithScores
	DelExArgs Digest HPExpireAtWithArgs HPExpireWithArgs HSetEXWithArgs IncrEXFloat IncrEXInt SDiffCard
	SUnionCard XAckDel XCfgSet XDelEx XNack
`

// madeUp is a call with arguments that suit the parameters, and may mean nothing.
func madeUp(m reflect.Method) sample {
	s := sample{method: m.Name}
	for i := 1; i < m.Type.NumIn(); i++ {
		t := paramType(m.Type, i)
		s.args = append(s.args, madeUpValue(t, 0).Interface())
	}
	return s
}

func madeUpValue(t reflect.Type, depth int) reflect.Value {
	v := reflect.New(t).Elem()
	switch t {
	case reflect.TypeFor[time.Duration]():
		v.SetInt(int64(time.Second))
		return v
	case reflect.TypeFor[time.Time]():
		return reflect.ValueOf(time.Unix(4102444800, 0))
	case reflect.TypeFor[redis.Vector]():
		return reflect.ValueOf(&redis.VectorValues{Val: []float64{1, 2}}).Convert(t)
	}
	switch t.Kind() {
	case reflect.String:
		v.SetString("k")
	case reflect.Int, reflect.Int8, reflect.Int64:
		v.SetInt(1)
	case reflect.Uint8, reflect.Uint64:
		v.SetUint(1)
	case reflect.Float64:
		v.SetFloat(1)
	case reflect.Interface:
		if t.NumMethod() == 0 {
			v.Set(reflect.ValueOf("k"))
		}
	case reflect.Pointer:
		v.Set(reflect.New(t.Elem()))
	case reflect.Slice:
		if depth < 3 {
			v.Set(reflect.Append(v, madeUpValue(t.Elem(), depth+1)))
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(t))
	default: // zero will do
	}
	return v
}
